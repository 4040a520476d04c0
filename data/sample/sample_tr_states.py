"""Turkish articles about countries, capitals and cities."""

from __future__ import annotations

from sample_core import Draft, Group, Row
from sample_tables import World
from sample_turkish import cop, figure, gen, listed, loc
from sample_turkish_names import CONTINENTS, amount, amount_is


def country(world: World, row: Row) -> Draft:
    """A country."""
    own, where, cap = row["tr"], CONTINENTS[row["continent"]], row["capital_tr"]
    tongues, money = world.tongues(row, "tr"), row["cur_tr"]
    area, souls = figure(row["area_km2"]), amount(row["population"])
    speech: Group = []
    if tongues:
        many = len(tongues) > 1
        said = listed(tongues)
        speech = [
            f"Resmî {'dilleri' if many else 'dili'} {cop(said)}.",
            f"{gen(own)} resmî {'dilleri' if many else 'dili'} {cop(said)}.",
            f"Ülkede resmî dil olarak {said} kullanılır.",
        ]
    more: list[Group] = []
    cities = [r["tr"] for r in world.in_country["cities", row["key"]]][:4]
    rivers = [r["tr"] for r in world.in_country["rivers", row["key"]]][:3]
    peaks = [r["tr"] for r in world.in_country["mountains", row["key"]]][:3]
    minds = [r["tr"] for r in world.in_country["scientists", row["key"]]][:3]
    if cities:
        more.append(
            [
                f"Ülkenin diğer büyük şehirleri arasında {listed(cities)} yer alır."
                if len(cities) > 1
                else f"Ülkenin bilinen bir başka şehri olarak {cities[0]} sayılabilir.",
                f"Başkent dışında {listed(cities)} da bilinen şehirlerdendir."
                if len(cities) > 1 and loc(cities[-1]).endswith("a")
                else f"Başkent dışında {listed(cities)} gibi şehirler de vardır.",
            ]
        )
    if rivers:
        more.append(
            [
                f"Ülkeden geçen ırmaklar arasında {listed(rivers)} bulunur."
                if len(rivers) > 1
                else f"Ülkenin ırmaklarından biri {rivers[0]} adını taşır."
            ]
        )
    if peaks:
        more.append(
            [
                f"Ülkedeki dağlar arasında {listed(peaks)} yer alır."
                if len(peaks) > 1
                else f"Ülkedeki dağlardan biri {peaks[0]} adını taşır."
            ]
        )
    if minds:
        more.append(
            [
                f"Bugünkü ülke topraklarında doğan bilim insanları arasında {listed(minds)} yer alır."
                if len(minds) > 1
                else f"Bugünkü ülke topraklarında doğan bilim insanlarından biri {minds[0]} adını taşır."
            ]
        )
    return Draft(
        own,
        [
            f"{own}, {loc(where)} yer alan bir ülkedir.",
            f"{own}, {loc(where)} bulunan bir devlettir.",
            f"{own}, başkenti {cap} olan bir ülkedir.",
            f"{own}, {where} kıtasında yer alan ve nüfusu yaklaşık {amount(row['population'])} olan bir ülkedir."
            if row["continent"] != "oceania"
            else f"{own}, Büyük Okyanus bölgesinde, {loc(where)} yer alan bir ülkedir.",
        ],
        [
            [
                f"Başkenti {cop(cap, True)}.",
                f"{gen(own)} başkenti {cop(cap, True)}.",
                f"Hükûmetin merkezi, başkent olan {cop(cap, True)}.",
                f"Ülkenin başkenti {cap} adını taşır.",
            ],
            [
                f"Yüz ölçümü yaklaşık {area} kilometrekaredir.",
                f"Ülke yaklaşık {area} kilometrekarelik bir alanı kaplar.",
                f"Ülkenin yüz ölçümü yaklaşık {area} kilometrekaredir.",
            ],
            [
                f"Ülkede yaklaşık {souls} kişi yaşar.",
                f"Nüfusu yaklaşık {amount_is(row['population'])}.",
                f"Ülkenin nüfusu yaklaşık {amount_is(row['population'])}.",
            ],
            speech,
            [
                f"Para birimi {cop(money)}.",
                f"Ülkede para birimi olarak {money} kullanılır.",
                f"Ülkenin para birimi {cop(money)}.",
                f"Alışverişte kullanılan para {cop(money)}.",
            ],
            [
                f"Ülke kodu olarak {row['iso']} kullanılır.",
                f"Uluslararası listelerde ülke {row['iso']} koduyla gösterilir.",
                f"İki harfli ülke kodu {row['iso']} biçimindedir.",
            ],
            [f"Ülke, {loc(where)} bulunur.", f"Haritada {loc(where)} bulunur."],
        ],
        [("Coğrafya ve nüfus", more)] if more else [],
        [cap, where, *tongues, *cities, *rivers, *minds],
        [
            ("başkent", cap),
            ("kıta", where),
            ("yüz ölçümü", row["area_km2"]),
            ("nüfus", row["population"]),
            ("para birimi", money),
            ("kod", row["iso"]),
        ],
        [f"{where} ülkeleri"],
    )


def capital(world: World, row: Row) -> Draft:
    """The capital of a country."""
    cap, name, where = row["capital_tr"], row["tr"], CONTINENTS[row["continent"]]
    tongues, souls = world.tongues(row, "tr"), amount(row["population"])
    said = listed(tongues) if tongues else ""
    return Draft(
        cap,
        [
            f"{cap}, {gen(name)} başkentidir.",
            f"{cap}, {loc(where)} yer alan bir şehir ve {gen(name)} başkentidir.",
            f"{cap}, {loc(name)} bulunan ve ülkenin başkenti olan şehirdir.",
            f"{cap}, {gen(name)} başkenti ve hükûmet merkezidir.",
        ],
        [
            [f"Şehir {loc(where)} yer alır.", f"{gen(where)} başkentlerinden biridir.", f"Haritada {loc(where)} bulunur."],
            [
                f"Şehirde resmî dil olarak {said} kullanılır.",
                f"Şehrin sokaklarında ve dairelerinde en çok {said} konuşulur.",
                f"Bütün ülkede olduğu gibi burada da resmî {'diller' if len(tongues) > 1 else 'dil'} {cop(said)}.",
            ]
            if tongues
            else [],
            [
                f"Şehirde para birimi olarak {row['cur_tr']} kullanılır.",
                f"Burada kullanılan para birimi {cop(row['cur_tr'])}.",
                f"Ülkenin her yerinde olduğu gibi para birimi {cop(row['cur_tr'])}.",
            ],
            [
                f"Buradan yönetilen ülkede yaklaşık {souls} kişi yaşar.",
                f"Yaklaşık {souls} nüfuslu bir ülkenin başkentidir.",
                f"Ülkenin toplam nüfusu yaklaşık {amount_is(row['population'])}.",
            ],
            [
                f"Ülkenin yüz ölçümü yaklaşık {figure(row['area_km2'])} kilometrekaredir.",
                f"Ülke yaklaşık {figure(row['area_km2'])} kilometrekarelik bir alanı kaplar.",
            ],
            [
                "Hükûmet ve en önemli bakanlıklar burada bulunur.",
                "Başkent olduğu için hükûmete ve birçok büyükelçiliğe ev sahipliği yapar.",
                "Ülkenin hükûmeti bu şehirde toplanır.",
            ],
            [
                f"Şehrin bulunduğu ülke için {row['iso']} kodu kullanılır.",
                f"Şehre gönderilen uluslararası postada {row['iso']} ülke kodu yer alır.",
            ],
            [
                "Ülkenin birçok yolu bu şehirde birleşir.",
                "Müzeleri ve tiyatroları ülkenin her yerinden ziyaretçi çeker.",
                "Ülkeyi ziyaret edenler çoğu zaman önce başkente gelir.",
            ],
        ],
        [],
        [name, where, *tongues],
        [("ülke", name), ("kıta", where), ("statü", "başkent")],
        [f"{where} başkentleri"],
    )


def city(world: World, row: Row) -> Draft:
    """A city that is not a capital."""
    own, state = row["tr"], world.countries(row)[0]
    name, where, souls = state["tr"], CONTINENTS[state["continent"]], amount(row["population"])
    river_row = world.tables["rivers"].get(row["river"])
    flow = river_row["tr"] if river_row else ""
    if flow and not flow.endswith(("Nehri", "Irmağı", "ırmak")):
        flow += " Nehri"
    tongues = world.tongues(state, "tr")
    stream = (
        [f"Şehir, {flow} kıyısında kurulmuştur.", f"Şehrin içinden {flow} geçer.", f"Şehir, {flow} kıyısında yer alır."]
        if flow
        else []
    )
    sea = (
        ["Şehir deniz kıyısındadır ve bir limanı vardır.", "Şehir kıyıda yer alır.", "Deniz kıyısında bulunur."]
        if row["coast"] == "yes"
        else ["Şehir iç kesimde, kıyıdan uzakta yer alır.", "Şehrin denize kıyısı yoktur.", "Deniz kıyısında değil, iç kesimdedir."]
    )
    old = (
        [
            f"Şehir {row['founded']} yılında kuruldu.",
            f"Kuruluş yılı olarak {row['founded']} kabul edilir.",
            f"Şehrin tarihi {row['founded']} yılına kadar uzanır.",
        ]
        if row["founded"].isdigit()
        else []
    )
    peers = [r["tr"] for r in world.in_country["cities", state["key"]] if r["key"] != row["key"]][:3]
    return Draft(
        own,
        [
            f"{own}, {loc(name)} bulunan bir şehirdir.",
            f"{own}, {loc(name)} yer alan ve yaklaşık {souls} nüfusu olan bir şehirdir.",
            f"{own}, {gen(name)} büyük şehirlerinden biridir.",
            f"{own}, {loc(where)}, {name} sınırları içinde yer alan bir şehirdir.",
        ],
        [
            [
                f"Şehirde yaklaşık {souls} kişi yaşar.",
                f"Nüfusu yaklaşık {amount_is(row['population'])}.",
                f"Şehrin nüfusu yaklaşık {amount_is(row['population'])}.",
            ],
            stream,
            sea,
            old,
            [
                f"Ülkenin başkenti bu şehir değil, {cop(state['capital_tr'], True)}.",
                f"{gen(name)} başkenti {cop(state['capital_tr'], True)}.",
                f"Ülkenin başkenti {cop(state['capital_tr'], True)}.",
            ],
            [f"Resmî {'diller' if len(tongues) > 1 else 'dil'} {cop(listed(tongues))}.", f"Şehirde {listed(tongues)} konuşulur."]
            if tongues
            else [],
            [f"Para birimi {cop(state['cur_tr'])}.", f"Şehirde para birimi olarak {state['cur_tr']} kullanılır."],
            [
                f"Ülkenin diğer şehirleri arasında {listed(peers)} yer alır.",
                f"Şehir çoğu zaman {listed(peers)} ile karşılaştırılır.",
            ]
            if len(peers) > 1
            else [],
            [f"Bütün ülke gibi şehir de {loc(where)} yer alır.", f"Haritada {loc(where)} bulunur."],
        ],
        [],
        [name, state["capital_tr"], flow or where, *peers],
        [("ülke", name), ("nüfus", row["population"])],
        [f"{name} şehirleri"],
    )
