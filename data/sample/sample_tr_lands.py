"""Turkish articles about rivers and mountains."""

from __future__ import annotations

from sample_core import Draft, Row, given
from sample_tables import World
from sample_turkish import cop, dat, figure, gen, listed, loc, number_with
from sample_turkish_names import CONTINENTS


def river(world: World, row: Row) -> Draft:
    """A river."""
    own, where = row["tr"], CONTINENTS[row["continent"]]
    lands = [c["tr"] for c in world.countries(row)]
    towns = [r["tr"] for r in world.tables["cities"].values() if r["river"] == row["key"]][:4]
    long, mouth = figure(row["length_km"]), row["mouth_tr"]
    return Draft(
        own,
        [
            f"{own}, {loc(where)} bulunan bir ırmaktır.",
            f"{own}, {loc(where)} bulunan ve {dat(mouth)} dökülen bir ırmaktır.",
            f"{own}, yaklaşık {long} kilometre uzunluğunda bir ırmaktır.",
            f"{own}, {listed(lands[:4])} topraklarından geçen bir ırmaktır." if lands else f"{own} bir ırmaktır.",
        ],
        [
            [
                f"Uzunluğu yaklaşık {long} kilometredir.",
                f"Kaynağından ağzına kadar yaklaşık {long} kilometre uzunluğundadır.",
                f"Irmağın uzunluğu yaklaşık {long} kilometredir.",
            ],
            [
                f"Irmak {dat(mouth)} dökülür.",
                f"Yolunun sonunda {dat(mouth)} ulaşır.",
                f"Suları {dat(mouth)} dökülür.",
                f"Döküldüğü yer {cop(mouth, True)}.",
            ],
            [
                f"Yolu boyunca {listed(lands)} topraklarından geçer.",
                f"Irmağın geçtiği {'ülkeler' if len(lands) > 1 else 'ülke'} {cop(listed(lands), True)}.",
            ]
            if lands
            else [],
            [
                f"Kıyısında {listed(towns)} {'şehirleri' if len(towns) > 1 else 'şehri'} yer alır.",
                f"{listed(towns)} {'şehirleri' if len(towns) > 1 else 'şehri'} bu ırmağın kıyısındadır.",
            ]
            if towns
            else [],
            [f"{gen(where)} ırmaklarından biridir.", f"Haritada {loc(where)} bulunur."],
            [
                "Kıyısındaki insanlara ve tarlalara su sağlar.",
                "Çiftçiler ırmağın suyunu tarlalarında kullanır.",
                "Kıyılarında yaşayan birçok insan balıkçılık ve tarımla geçinir.",
            ],
            [
                "Irmağın bazı bölümlerinde gemiler ve tekneler işler.",
                "Köprüler ve feribotlar iki kıyıyı birbirine bağlar.",
                "Irmağın üzerinde birçok yerde köprü vardır.",
            ],
            [
                "Şiddetli yağmurlardan sonra su düzeyi hızla yükselir.",
                "Su düzeyi mevsimlere göre değişir.",
                "Kurak aylarda daha az su taşır.",
            ],
        ],
        [],
        [where, *lands, *towns],
        [("uzunluk", row["length_km"]), ("ağız", mouth)],
        [f"{where} akarsuları"],
    )


def mountain(world: World, row: Row) -> Draft:
    """A mountain."""
    own, where, high = row["tr"], CONTINENTS[row["continent"]], figure(row["height_m"])
    states = world.countries(row)
    lands, chain = [c["tr"] for c in states], row["range_tr"]
    return Draft(
        own,
        [
            f"{own}, {loc(where)} bulunan bir dağdır.",
            f"{own}, {loc(where)} bulunan {high} metre yüksekliğinde bir dağdır.",
            (
                f"{own}, {listed(lands)} sınırında yer alan bir dağdır."
                if len(lands) > 1
                else f"{own}, {loc(lands[0])} yer alan bir dağdır."
            )
            if lands
            else f"{own} bir dağdır.",
            f"{own}, yüksekliği {high} metre olan bir dağdır.",
        ],
        [
            [
                f"Yüksekliği {high} metredir.",
                f"Zirvesi deniz seviyesinden {high} metre yüksektedir.",
                f"Dağın yüksekliği {high} metredir.",
            ],
            [f"Dağ, {gen(chain)} bir parçasıdır.", f"Dağ, {loc(chain)} yer alır."] if given(chain) else [],
            (
                [f"{listed(lands)} arasındaki sınır bu dağdan geçer.", f"Dağ, {listed(lands)} sınırındadır."]
                if len(lands) > 1
                else [f"Dağ {loc(lands[0])} bulunur.", f"Bulunduğu ülkenin başkenti {cop(states[0]['capital_tr'], True)}."]
            )
            if lands
            else [],
            [
                f"Dağa ilk kez {row['first_ascent']} yılında tırmanıldı.",
                f"İlk tırmanış {row['first_ascent']} yılında gerçekleşti.",
                f"Dağcılar zirveye ilk kez {number_with(row['first_ascent'], 'loc', row['first_ascent'])} ulaştı.",
            ]
            if row["first_ascent"].isdigit()
            else [],
            [f"Haritada {loc(where)} bulunur.", f"{gen(where)} en tanınmış dağlarından biridir."],
            [
                "Zirvesi bütün yıl kar ve buzla kaplıdır.",
                "Zirveye yakın yerlerde hava seyrek ve soğuktur.",
                "Üst yamaçları yılın büyük bölümünde kar altındadır.",
            ]
            if int(row["height_m"]) > 4500
            else [
                "Güzel havada zirveden çok uzaklar görünür.",
                "Yürüyüşçüler patikalardan dağa çıkar.",
                "Birçok ziyaretçi zirvedeki manzara için gelir.",
            ],
            [
                "Zirveye çıkmak isteyenler erken yola koyulmalı ve havayı izlemelidir.",
                "Dağda hava birkaç saat içinde değişebilir.",
                "Fırtına ve sis tırmanışı zorlaştırır.",
            ],
            [
                "Alt yamaçlarda orman vardır, zirve ise çıplak kayadır.",
                "Zirveye doğru bitkiler küçülür.",
                "Yamaçlarından inen dereler bölgenin ırmaklarını besler.",
            ],
        ],
        [],
        [where, *lands],
        [("yükseklik", row["height_m"]), ("sıradağ", chain)],
        [f"{where} dağları"],
    )
