"""Turkish articles about numbers, days of the year and years."""

from __future__ import annotations

from sample_core import Draft, upper_first
from sample_reckoning import Day, century, divisors, easter, first_weekday, is_leap, last_weekday, prime_factors, roman
from sample_tables import World
from sample_turkish import abl, cop, gen, listed, loc, number_with, words
from sample_turkish_names import MONTHS, SEASONS, WEEKDAYS, ZODIAC, day_name


def number(world: World, n: int) -> Draft:
    """A whole number."""
    name, parts, factors = words(n), divisors(n), prime_factors(n)
    parity, other = ("çift", "kalan sıfır") if n % 2 == 0 else ("tek", "kalan bir")
    if n == 1:
        nature = ["Ne asal ne de bileşik bir sayıdır.", "Asal çarpanı yoktur."]
    elif len(factors) == 1:
        nature = [
            "Asal bir sayıdır; yalnızca 1'e ve kendisine bölünür.",
            "Asal sayı olduğu için 1'den ve kendisinden başka böleni yoktur.",
            f"{n} asal bir sayıdır.",
        ]
    else:
        product = " × ".join(map(str, factors[:-1])) + f" × {number_with(factors[-1], 'cop')}"
        nature = [
            f"Bileşik bir sayıdır ve asal çarpanlarına ayrılmış biçimi {product}.",
            f"Asal çarpanlarına ayrılmış biçimi {product}.",
            f"Asal sayıların çarpımı olarak yazılışı {product}.",
        ]
    shown = listed([str(p) for p in parts[:-1]] + [number_with(parts[-1], "cop")])
    before, after = number_with(n - 1, "abl"), number_with(n + 1, "abl")
    square, cube = number_with(n * n, "cop"), number_with(n**3, "cop")
    return Draft(
        str(n),
        [
            f"{n} ({name}), {parity} bir doğal sayıdır.",
            f"{n} ({name}), {before} sonra ve {after} önce gelen doğal sayıdır.",
            f"{n}, yazıyla {name} biçiminde yazılan doğal sayıdır.",
            f"{n} ({name}), {n - 1} ile {n + 1} arasındaki doğal sayıdır.",
        ],
        [
            [
                f"{n} {parity} bir sayıdır.",
                f"{parity.capitalize()} bir sayıdır.",
                f"İkiye bölündüğünde {other} olduğu için {parity} sayıdır.",
            ],
            nature,
            [f"Karesi {square}.", f"Kendisiyle çarpımı {square}.", f"{number_with(n, 'gen')} karesi {square}."],
            [f"Küpü {cube}.", f"{number_with(n, 'gen')} küpü {cube}."],
            [
                f"Roma rakamlarıyla {roman(n)} biçiminde yazılır.",
                f"Romalılar bu sayıyı {roman(n)} biçiminde yazardı.",
                f"Roma rakamlarındaki karşılığı {roman(n)} biçimindedir.",
            ],
            [f"İkilik sistemde {n:b} biçiminde yazılır.", f"İkilik sistemdeki yazılışı {n:b} biçimindedir."],
            [
                "Tek böleni 1'dir."
                if n == 1
                else f"{upper_first(words(len(parts)), 'tr')} böleni vardır: {listed([str(p) for p in parts])}.",
                "Bir tek böleni vardır." if n == 1 else f"Bölenleri {shown}.",
            ],
            [
                f"{before.capitalize()} sonra, {after} önce gelir.",
                f"Bir önceki sayı {n - 1}, bir sonraki sayı {number_with(n + 1, 'cop')}.",
                f"Öncülü {n - 1}, ardılı {number_with(n + 1, 'cop')}.",
            ],
            [f"Türkçede sayının adı {cop(name)}.", f"Yazıyla {name} biçiminde yazılır.", f"Okunuşu {name} biçimindedir."],
            [
                f"İki katı {number_with(2 * n, 'cop')}.",
                f"{number_with(n, 'gen')} iki katı {number_with(2 * n, 'cop')}.",
                f"On katı {number_with(10 * n, 'cop')}.",
            ],
        ],
        [],
        ["doğal sayı", "asal sayı", "ikilik sistem"],
        [("değer", str(n)), ("Roma", roman(n))],
        ["Doğal sayılar"],
    )


def day(world: World, d: Day) -> Draft:
    """A day of the year."""
    own = day_name(d.month, d.day)
    month, sign, season, south = MONTHS[d.month - 1], ZODIAC[d.zodiac], SEASONS[d.season], SEASONS[(d.season + 2) % 4]
    low = month.lower().replace("i̇", "i")
    before, after = d.shifted(-1), d.shifted(1)
    last, following = day_name(before.month, before.day), day_name(after.month, after.day)
    year = "artık yılda" if d.leap else "artık olmayan bir yılda"
    stamp = d.key[4:].replace("_", "-")
    born = [f"{r['tr']} ({r['born'][:4]})" for r in world.scientists_by_day["born" + stamp]][:4]
    died = [f"{r['tr']} ({r['died'][:4]})" for r in world.scientists_by_day["died" + stamp]][:4]
    later = []
    if born:
        later.append(
            [
                f"Bu günde {listed(born)} doğdu.",
                f"Bu gün doğan bilim insanları arasında {listed(born)} yer alır."
                if len(born) > 1
                else f"{loc(own)} {listed(born)} doğdu.",
                f"{loc(own)} {listed(born)} dünyaya geldi.",
            ]
        )
    if died:
        later.append([f"{loc(own)} {listed(died)} öldü.", f"Bu günde {listed(died)} öldü."])
    length = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][d.month - 1]
    return Draft(
        own,
        [
            f"{own}, {'bir ' if d.leap else ''}{year} yılın {d.ordinal}. günüdür.",
            f"{own}, {low} ayının {d.day}. günüdür.",
            f"{own}, yılın bitmesine {d.left} gün kala gelen gündür." if d.left else f"{own}, yılın son günüdür.",
            f"{own}, {abl(last)} sonra ve {abl(following)} önce gelen gündür.",
        ],
        [
            [
                f"{'Bir artık yılda' if d.leap else 'Artık olmayan bir yılda'} yılın {d.ordinal}. günüdür.",
                f"1 Ocak'tan başlayarak sayıldığında, {year} {d.ordinal}. gündür.",
            ],
            [
                f"Bu günden sonra yılın bitmesine {d.left} gün kalır.",
                f"Yıl sonuna kadar {d.left} gün vardır.",
                f"Yılın sonuna {d.left} gün kalır.",
            ]
            if d.left
            else ["Ertesi gün yılbaşıdır."],
            [f"{month}, yılın {d.month}. ayıdır.", f"Gün, yılın {d.month}. ayı olan {low} ayındadır."],
            [
                f"Bir sonraki gün {cop(following, True)}.",
                f"Ertesi gün {cop(following, True)}.",
                f"Bir önceki gün {cop(last, True)}.",
            ],
            [
                f"Kuzey yarım kürede {season}, güney yarım kürede {south} mevsimine denk gelir.",
                f"Ekvator'un kuzeyinde {season} mevsimindedir.",
                f"Ekvator'un güneyinde {south} mevsimindedir.",
            ],
            [
                f"Bu günün burcu {cop(sign, True)}.",
                f"Bu gün doğanların burcu {cop(sign, True)}.",
                f"Astrolojide gün {sign} burcuna girer.",
            ],
            ["Yalnızca artık yıllarda vardır.", "Genellikle dört yılda bir gelir."]
            if d.leap
            else [
                f"Artık yıllarda yılın {d.ordinal + 1}. günüdür."
                if d.month > 2
                else "Artık yıllarda da öteki yıllarda da sırası aynıdır.",
                "Artık yıllarda mart ayından sonraki günlerin sırası bir artar."
                if d.month < 3
                else f"Artık yıllarda sırası {number_with(d.ordinal + 1, 'cop')}.",
            ],
            [
                "Her yıl haftanın başka bir gününe denk gelir.",
                "Bir yıldan ötekine haftanın bir gün sonrasına, artık günden sonra ise iki gün sonrasına kayar.",
            ]
            if not d.leap
            else [],
            [f"{month} ayı {length} gün sürer{', artık yıllarda ise 29 gün' if d.month == 2 else ''}."],
        ],
        [("Kişiler", later)] if later else [],
        [month, "artık yıl", sign],
        [("ay", month), ("gün", str(d.day)), ("burç", sign)],
        [f"{month} günleri"],
    )


def year(world: World, y: int) -> Draft:
    """A year."""
    own, age, leap = str(y), f"{century(y)}. yüzyıl", is_leap(y)
    first, last = WEEKDAYS[first_weekday(y)], WEEKDAYS[last_weekday(y)]
    kind, days = ("artık yıl", 366) if leap else ("artık olmayan bir yıl", 365)
    one = "bir artık yıl" if leap else kind
    month, sunday = easter(y)
    feast = day_name(month, sunday)
    born = [r["tr"] for r in world.scientists_by_year["born", own]][:5]
    died = [r["tr"] for r in world.scientists_by_year["died", own]][:5]
    found = [r["tr"] for r in world.elements_by_year[own]][:5]
    at = number_with(y, "loc", own)
    later = []
    if born:
        later.append(
            [
                f"{at} {listed(born)} doğdu.",
                f"Bu yıl {listed(born)} dünyaya geldi.",
                f"Bu yıl doğan bilim insanları arasında {listed(born)} yer alır."
                if len(born) > 1
                else f"{y} yılında {listed(born)} doğdu.",
            ]
        )
    if died:
        later.append([f"{at} {listed(died)} öldü.", f"Bu yıl {listed(died)} hayatını kaybetti."])
    if found:
        noun = "elementleri" if len(found) > 1 else "elementi"
        later.append([f"Bu yıl {listed(found)} {noun} keşfedildi.", f"{at} {listed(found)} {noun} keşfedildi."])
    return Draft(
        own,
        [
            f"{y}, {age}a ait bir yıldır.",
            f"{y} ({roman(y)}), {first} günü başlayan {one}dır.",
            f"{y}, Gregoryen takvimine göre {one}dır.",
            f"{y}, {age}da yer alan ve {first} günü başlayan bir yıldır.",
        ],
        [
            [f"Gregoryen takvimine göre yıl {first} günü başladı.", f"1 Ocak {y} {first} günüydü.", f"Yılın ilk günü {first} idi."],
            [f"Yıl {last} günü sona erdi.", f"31 Aralık {y} {last} günüydü.", f"Yılın son günü {last} idi."],
            [
                f"Yıl {days} gün sürdü.",
                f"{one[0].upper()}{one[1:]} olduğu için {days} gün sürdü.",
                f"Toplam {days} günden oluşuyordu.",
            ],
            [
                f"Roma rakamlarıyla {roman(y)} biçiminde yazılır.",
                f"Roma rakamlarındaki yazılışı {roman(y)} biçimindedir.",
                f"Eski yapılarda yıl {roman(y)} olarak yazılıdır.",
            ],
            [
                f"Paskalya {feast} gününe denk geldi.",
                f"Paskalya {loc(feast)} kutlandı.",
                f"Gregoryen takvimine göre Paskalya günü {feast} idi.",
            ],
            [f"{age.capitalize()}a aittir.", f"Yıl, {age} içinde yer alır.", f"{gen(age, False)} bir yılıdır."],
            [
                f"Bir sonraki yıl {number_with(y + 1, 'cop', str(y + 1))}.",
                f"Bir önceki yıl {y - 1}, bir sonraki yıl {number_with(y + 1, 'cop', str(y + 1))}.",
                f"{number_with(y - 1, 'abl', str(y - 1))} sonra, {number_with(y + 1, 'abl', str(y + 1))} önce gelir.",
            ],
            [f"29 Şubat {y} {WEEKDAYS[(first_weekday(y) + 59) % 7]} günüydü.", "Şubat ayı 29 gün sürdü."]
            if leap
            else ["Şubat ayı 28 gün sürdü.", "Artık olmayan her yılda olduğu gibi şubat ayı 28 gün sürdü."],
        ],
        [("Bilimdeki olaylar", later)] if later else [],
        [str(y - 1), str(y + 1), *born, *died, *found],
        [("yıl", own), ("Roma", roman(y))],
        [age],
    )
