"""Turkish articles about scientists and languages."""

from __future__ import annotations

from sample_core import Draft, Row, given, upper_first
from sample_reckoning import century
from sample_tables import World
from sample_turkish import cop, listed, loc
from sample_turkish_names import FIELDS, JOBS, amount, date, on


def scientist(world: World, row: Row) -> Draft:
    """A scientist."""
    own, job, subject = row["tr"], JOBS[row["field"]], FIELDS[row["field"]]
    state = world.countries(row)[0]
    name, born, died = state["tr"], on(row["born"]), on(row["died"]) if given(row["died"]) else ""
    place, known = row["birth_tr"], row["known_tr"]
    peers = [
        r["tr"]
        for r in world.tables["scientists"].values()
        if r["field"] == row["field"] and r["key"] != row["key"] and r["born"][:2] == row["born"][:2]
    ][:3]
    age: list[str] = []
    if len(row["born"]) == 10 and len(row["died"]) == 10:
        years = int(row["died"][:4]) - int(row["born"][:4]) - (row["died"][5:] < row["born"][5:])
        age = [f"{years} yaşında öldü.", f"{years} yıl yaşadı.", f"Öldüğünde {years} yaşındaydı."]
    life = f"{date(row['born'])} – {date(row['died'])}" if died else f"doğumu {date(row['born'])}"
    woman = "kadın " if row["gender"] == "f" else ""
    return Draft(
        own,
        [
            f"{own} ({life}), bir {woman}{cop(job)}.",
            f"{own} ({life}), {known} ile tanınan bir {cop(job)}.",
            f"{own} ({life}), {subject} alanında çalışmış bir {woman}bilim insanıdır."
            if died
            else f"{own} ({life}), {subject} alanında çalışan bir {woman}bilim insanıdır.",
            f"{own} ({life}), bugünkü {name} topraklarında doğmuş bir {cop(job)}.",
        ],
        [
            [
                f"{born} doğdu.",
                f"{own}, {born} dünyaya geldi.",
                f"Doğum yeri olarak {place} gösterilir." if given(place) else f"{own}, {born} doğdu.",
            ],
            [f"{died} öldü.", f"{own}, {died} öldü.", f"{died} hayatını kaybetti."] if died else [],
            age,
            [
                f"En çok {known} ile tanınır.",
                f"Adı en çok {known} ile birlikte anılır.",
                f"Ününü {known} ile kazandı.",
                f"Bilim dünyasında {known} ile bilinir.",
            ],
            [
                f"Uzmanlık alanı {cop(subject)}.",
                f"Daha çok {subject} alanında çalıştı.",
                f"En önemli çalışmaları {subject} alanındadır.",
            ],
            [f"Doğduğu yer bugün {name} sınırları içindedir.", f"Bugünkü sınırlara göre {loc(name)} doğmuştur."],
            [
                f"{century(int(row['born'][:4]))}. yüzyılda doğan bilim insanlarındandır.",
                f"{century(int(row['born'][:4]))}. yüzyılda doğmuştur.",
            ],
            [f"Aynı alanda çalışanlar arasında {listed(peers)} yer alır."] if len(peers) > 1 else [],
            [
                f"{upper_first(subject)} tarihi üzerine birçok kitapta adı geçer.",
                "Ders kitaplarında adı bugün de geçer.",
                f"{upper_first(subject)} öğrenenler bugün de adıyla karşılaşır.",
            ],
        ],
        [],
        [place, name, subject, *peers],
        [("doğum", row["born"]), ("ölüm", row["died"]), ("alan", subject)],
        [f"{job[0].upper()}{job[1:]}{'lar' if cop(job)[-2] in 'ıu' else 'ler'}"],
    )


def language(world: World, row: Row) -> Draft:
    """A language."""
    own, family, script = row["tr"], row["family_tr"], row["script_tr"]
    lands = [c["tr"] for c in world.countries(row)][:6]
    many = amount(str(float(row["speakers_million"]) * 1e6))
    kin = [r["tr"] for r in world.tables["languages"].values() if r["family_key"] == row["family_key"] and r["key"] != row["key"]][
        :4
    ]
    alone = not given(family) or "isolate" in row["family_key"]
    where = loc(listed(lands)) if lands else ""
    return Draft(
        own,
        [
            f"{own}, yaklaşık {many} kişinin konuştuğu bir dildir.",
            f"{own}, daha çok {where} konuşulan bir dildir." if lands else f"{own} bir dildir.",
            f"{own}, izole bir dildir." if alone else f"{own}, {family} arasında yer alan bir dildir.",
            f"{own}, yaklaşık {many} konuşanı olan bir dildir.",
        ],
        [
            [
                f"Dili yaklaşık {many} kişi konuşur.",
                f"Yaklaşık {many} konuşanı vardır.",
                f"Bu dili konuşanların sayısı yaklaşık {many} olarak tahmin edilir.",
            ],
            [f"Daha çok {where} konuşulur.", f"Konuşanlarının çoğu {where} yaşar.", f"Dil en çok {where} duyulur."]
            if lands
            else [],
            ["Başka bir dille akraba olduğu kanıtlanmamıştır.", "Akraba olduğu bir dil bilinmemektedir."]
            if alone
            else [f"Dil bilimciler bu dili {family} arasında sayar.", f"Dil, {family} grubundandır."],
            [f"Yazımında {script} kullanılır.", f"Yazı için {script} kullanılır.", f"Kullandığı yazı {cop(script)}."]
            if given(script)
            else [],
            [f"Akraba diller arasında {listed(kin)} bulunur.", f"Akrabaları arasında {listed(kin)} yer alır."]
            if len(kin) > 1 and not alone
            else [],
            [
                "Çocuklar onu evde ilk dil olarak öğrenir.",
                "Anne babalar dili çocuklarına aktarır.",
                "Birçok kişi onu ikinci dil olarak öğrenir.",
            ],
            [
                "Bu dilde kitaplar, şarkılar ve gazeteler vardır.",
                "Radyo ve gazeteler bu dili kullanır.",
                "Bu dildeki masallar ve şarkılar bugün de anlatılır.",
            ],
            [
                "Her dil gibi o da zamanla değişir.",
                "Sözcükleri ve sesleri bölgeden bölgeye biraz değişir.",
                "Ağızları bölgeden bölgeye değişir.",
            ],
            [
                "Sözlükler ve dil bilgisi kitapları bu dili anlatır.",
                "Dil bilimciler onun dil bilgisini incelemiştir.",
                "Dil bilgisi birçok kitapta anlatılır.",
            ],
        ],
        [],
        [*lands, family, *kin],
        [("aile", family), ("konuşan", row["speakers_million"]), ("yazı", script)],
        ["Diller"],
    )
