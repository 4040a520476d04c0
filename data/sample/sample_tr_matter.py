"""Turkish articles about chemical elements, planets and moons."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_tables import World
from sample_turkish import abl, cop, dat, figure, gen, listed, number_with
from sample_turkish_names import (
    CATEGORIES,
    SPHERES,
    STATES,
)


def element(world: World, row: Row) -> Draft:
    """A chemical element."""
    _own, top, sign, number = row["tr"], upper_first(row["tr"], "tr"), row["symbol"], int(row["number"])
    kind, kinds = CATEGORIES[row["category"]]
    found, who = row["year"], row["discoverer"]
    table = {int(r["number"]): r["tr"] for r in world.tables["elements"].values()}
    near = [table[n] for n in (number - 1, number + 1) if n in table]
    when = number_with(found, "loc", found) if given(found) else ""
    history = (
        [
            f"Element {when} keşfedildi.",
            f"Element {found} yılından beri bilinmektedir.",
            f"Keşfedildiği yıl {number_with(found, 'cop', found)}.",
        ]
        if given(found)
        else ["İlk Çağ'dan beri bilinmektedir.", "İnsanlar bu maddeyi İlk Çağ'da da tanıyordu."]
    )
    if given(found) and given(who):
        history = [
            f"Element {when} {who} tarafından keşfedildi.",
            f"{who}, elementi {when} keşfetti.",
            f"{found} yılında {who} tarafından keşfedilmiştir.",
        ]
    spot = f"Periyodik tablonun {row['period']}. periyodunda yer alır."
    return Draft(
        top,
        [
            f"{top}, simgesi {sign} ve atom numarası {number} olan kimyasal elementtir.",
            f"{top}, atom numarası {number} olan kimyasal elementtir; simgesi {sign} biçiminde yazılır.",
            f"{top}, simgesi {sign} olan bir {cop(kind)}.",
            f"{top}, {kinds} arasında yer alan bir kimyasal elementtir.",
        ],
        [
            [
                f"Simgesi {sign} biçimindedir.",
                f"Kimyasal formüllerde {sign} simgesiyle gösterilir.",
                f"{gen(top, False)} simgesi {sign} olarak yazılır.",
            ],
            [
                f"Atom numarası {number_with(number, 'cop')}.",
                f"{top} atomunun çekirdeğinde {number} proton bulunur.",
                f"{gen(top, False)} atom numarası {number_with(number, 'cop')}.",
            ],
            [
                f"Periyodik tablonun {row['group']}. grubunda ve {row['period']}. periyodunda yer alır.",
                f"Periyodik tabloda {row['group']}. grupta bulunur.",
                spot,
            ]
            if given(row["group"])
            else [spot, f"Periyodik tabloda {row['period']}. periyotta bulunur."],
            [
                f"Oda sıcaklığında {STATES[row['state']]} hâlde bulunur.",
                f"Normal koşullarda {STATES[row['state']]} hâldedir.",
                f"{top}, oda sıcaklığında {STATES[row['state']]} hâldedir.",
            ]
            if number < 104
            else ["Bugüne kadar yalnızca birkaç atomu üretilmiştir.", "Doğada bulunmaz ve hızla bozunur."],
            [
                f"Atom kütlesi yaklaşık {number_with(row['mass'], 'cop')}.",
                f"Elementin atom kütlesi yaklaşık {figure(row['mass'])} birimdir.",
            ],
            history,
            [f"Bir {cop(kind)}.", f"Kimyada {kinds} arasında sayılır.", f"Özelliklerine göre bir {cop(kind)}."],
            [
                f"Periyodik tablodaki komşuları {near[0]} ve {cop(near[1])}.",
                f"Periyodik tabloda {near[0]} ile {near[1]} arasında yer alır.",
            ]
            if len(near) == 2
            else [f"Periyodik tablodaki komşusu {cop(near[0])}."],
        ],
        [],
        [kind, "Periyodik tablo", "Atom numarası", *near],
        [("simge", sign), ("numara", str(number)), ("kütle", row["mass"]), ("seri", kind)],
        ["Kimyasal elementler"],
    )


def planet(world: World, row: Row) -> Draft:
    """A planet, a dwarf planet or a moon."""
    own, moon, key = row["tr"], row["type"] == "moon", row["key"]
    kind, bodies = SPHERES[row["type"]], world.tables["planets_and_moons"]
    wide, turn = figure(row["diameter_km"]), figure(row["orbit_days"])
    home = bodies[row["parent"]]["tr"] if moon else "Güneş"
    around = f"{home} çevresinde"
    far = f"{figure(float(row['distance']) * 1000)} kilometre" if moon else f"{figure(row['distance'])} milyon kilometre"
    kids = [r["tr"] for r in bodies.values() if r["parent"] == key][:5]
    groups: list[Group] = [
        [
            f"Çapı yaklaşık {wide} kilometredir.",
            f"Yaklaşık {wide} kilometre çapındadır.",
            f"{gen(own)} çapı yaklaşık {wide} kilometredir.",
        ],
        [f"{dat(home)} ortalama uzaklığı yaklaşık {far}dir.", f"{abl(home)} ortalama olarak yaklaşık {far} uzaktadır."],
        [
            f"{around} bir turu yaklaşık {turn} gün sürer.",
            f"{around} bir turu yaklaşık {turn} günde tamamlar.",
            f"Bir dolanım yaklaşık {turn} gün sürer.",
        ],
        [f"Uyduları arasında {listed(kids)} bulunur." if len(kids) > 1 else f"En bilinen uydusu {cop(kids[0], True)}."]
        if kids
        else [],
        {
            "rocky": ["Yüzeyi kayalardan oluşur.", "Öteki iç gezegenler gibi katı ve kayalık bir yüzeyi vardır."],
            "gas": ["Büyük ölçüde hidrojen ve helyumdan oluşur.", "Katı bir yüzeyi yoktur."],
            "ice": ["Atmosferinde hidrojen, helyum ve metan bulunur.", "Soğuktur ve Güneş'ten çok uzaktadır."],
            "dwarf": ["Gezegen sayılmayacak kadar küçüktür.", "Sekiz gezegenin hepsinden daha küçüktür."],
            "moon": [
                f"{gen(home)} doğal uydusudur."
                if key == "moon"
                else f"{gen(home)} doğal uydularından biridir."
                if row["parent"] != "pluto"
                else f"{gen(home)} en büyük uydusudur.",
                f"Güneş çevresindeki yolculuğunda {dat(home)} eşlik eder.",
            ],
        }[row["type"]],
        [
            "Güneş Sistemi'ndeki bütün gök cisimleri gibi Güneş ışığını yansıtır.",
            "Kendisi ışık saçmaz, Güneş ışığını yansıtır.",
            "Güneş Sistemi'nin bir üyesidir.",
        ],
        [
            "Gök bilimciler onu teleskoplarla ve uzay sondalarıyla inceler.",
            "Uzay sondaları oradan Dünya'ya görüntüler göndermiştir.",
            "Hakkında bilinenlerin çoğu uzay sondalarından gelir.",
        ]
        if key != "earth"
        else ["Üzerinde yaşam olduğu bilinen tek gezegendir.", "Yüzeyinin büyük bölümü suyla kaplıdır."],
    ]
    return Draft(
        own,
        [
            f"{own}, {around} dolanan bir {cop(kind)}.",
            f"{own}, çapı yaklaşık {wide} kilometre olan bir {cop(kind)}.",
            f"{own}, Güneş Sistemi'nde yer alan bir {cop(kind)}.",
            f"{own}, {around} dolanan bir gök cismidir.",
        ],
        groups,
        [],
        [home, kind, *kids],
        [("tür", kind), ("çap", row["diameter_km"])],
        ["Güneş Sistemi"],
    )
