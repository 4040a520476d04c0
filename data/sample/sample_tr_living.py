"""Turkish articles about animals and plants."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_tables import World
from sample_turkish import abl, cop, dat, figure, words
from sample_turkish_names import (
    CLASSES,
    CONTINENTS,
    DIETS,
    FOODS,
    HABITATS,
    KINDS,
    continent,
    measure,
    weight,
)

TRAITS = {
    "mammal": [
        "Yavruları anne sütüyle beslenir.",
        "Bütün memeliler gibi yavrularını sütle besler.",
        "Memeli olduğu için sıcakkanlıdır.",
    ],
    "bird": ["Vücudu tüylerle kaplıdır.", "Bütün kuşlar gibi yumurtlar.", "İki kanadı ve bir gagası vardır."],
    "reptile": ["Derisi pullarla kaplıdır.", "Çoğu sürüngen gibi güneşte ısınır."],
    "amphibian": ["Derisi nemlidir.", "Öteki amfibiler gibi yumurtaları için suya ihtiyaç duyar."],
    "fish": ["Solungaçlarıyla solunum yapar.", "Öteki balıklar gibi solungaçlarıyla solunum yapar ve yüzgeçleriyle yüzer."],
    "insect": ["Vücudu baş, göğüs ve karın bölümlerinden oluşur.", "Bütün böcekler gibi üç bölümlü bir vücudu vardır."],
    "arachnid": ["Böceklerden farklı olarak duyargaları yoktur.", "Örümceğimsi olduğu için duyargası yoktur."],
    "crustacean": ["Sert bir kabuk vücudunu korur.", "Öteki kabuklular gibi sert bir kabuğu vardır."],
    "mollusc": ["Vücudu yumuşaktır ve kemiği yoktur.", "Öteki yumuşakçalar gibi yumuşak ve kemiksiz bir vücudu vardır."],
}
USES = {
    "tree": ["Odunu insanlar tarafından kullanılır.", "Dallarında kuşlar yuva yapar.", "Yazın gölge verir."],
    "flower": ["Çiçekleri için bahçelere dikilir.", "Çiçekleri arıları ve başka böcekleri çeker.", "Süs bitkisi olarak sevilir."],
    "fruit": [
        "Meyvesi taze yenir ya da meyve suyu ve reçel yapımında kullanılır.",
        "Olgun meyvesi en çok tazeyken lezzetlidir.",
        "Meyvesi için yetiştirilir.",
    ],
    "vegetable": [
        "Çiğ ya da pişmiş olarak yenir.",
        "Bahçelerde ve tarlalarda yetiştirilir.",
        "Mutfakta çorbalarda, salatalarda ve başka yemeklerde kullanılır.",
    ],
    "grain": [
        "Taneleri öğütülerek un yapılır ya da pişirilir.",
        "Geniş tarlalarda yetiştirilir.",
        "Taneleri insanları ve hayvanları besler.",
    ],
    "herb": [
        "Yaprakları yemeklere lezzet verir.",
        "Mutfakta yaprakları taze ya da kuru olarak kullanılır.",
        "Bahçelerde ve saksılarda kolayca yetişir.",
    ],
    "spice": [
        "Yemeklere lezzet vermek için kullanılır.",
        "Mutfakta az miktarda kullanılır.",
        "Güçlü kokusu nedeniyle eskiden değerli bir ticaret malıydı.",
    ],
}


def animal(world: World, row: Row) -> Draft:
    """An animal."""
    own, top = row["tr"], upper_first(row["tr"], "tr")
    kind, kinds = CLASSES[row["class"]]
    home, place = HABITATS[row["habitat"]], continent(row["continent"])
    food, diet, legs, years = FOODS[row["diet"]], DIETS[row["diet"]], int(row["legs"]), row["lifespan_years"]
    limbs = (
        [
            f"{upper_first(words(legs), 'tr')} bacağı vardır.",
            f"Hayvanın {words(legs)} bacağı vardır.",
            f"{top}, {words(legs)} bacaklı bir hayvandır.",
        ]
        if legs
        else ["Bacağı yoktur.", "Hayvanın bacağı yoktur.", f"{top}, bacaksız bir hayvandır."]
    )
    age: Group = []
    if given(years):
        age = (
            [
                f"Yaklaşık {figure(years)} yıl yaşar.",
                f"Ömrü yaklaşık {figure(years)} yıldır.",
                f"Ortalama ömrü yaklaşık {figure(years)} yıldır.",
            ]
            if float(years) >= 1
            else ["Ömrü bir yıldan kısadır.", "Bir yıldan az yaşar."]
        )
    big = measure(row["length_cm"]) if given(row["length_cm"]) else ""
    mass = given(row["weight_kg"]) and float(row["weight_kg"]) >= 0.001
    heavy = weight(row["weight_kg"]) if mass else ""
    return Draft(
        top,
        [
            f"{top}, {home} yaşayan bir {cop(kind)}.",
            f"{top}, {kinds} sınıfından bir hayvandır.",
            f"{top}, {place} bulunan bir {cop(kind)}.",
            f"{top}, {kinds} sınıfında yer alan {diet} bir hayvandır.",
            f"{top} bir {cop(kind)}.",
        ],
        [
            [
                f"{upper_first(food, 'tr')} beslenir.",
                f"{upper_first(diet, 'tr')} bir hayvandır, yani {food} beslenir.",
                f"{top}, {food} beslenir.",
                f"Hayvan {food} beslendiği için {diet} sayılır.",
            ],
            [f"{upper_first(home, 'tr')} yaşar.", f"Bu hayvan {home} yaşar.", f"{top} daha çok {home} görülür."],
            [f"{upper_first(place, 'tr')} bulunur.", f"Bu hayvana {place} rastlanır.", f"{upper_first(place, 'tr')} görülür."],
            [
                f"Boyu yaklaşık {cop(big)}.",
                f"Yetişkin bir hayvanın boyu yaklaşık {cop(big)}.",
                f"Uzunluğu yaklaşık {dat(big, False)} ulaşır.",
            ]
            if big
            else [],
            [
                f"Ağırlığı yaklaşık {cop(heavy)}.",
                f"Yaklaşık {heavy} ağırlığındadır.",
                f"Yetişkin bir hayvanın ağırlığı yaklaşık {cop(heavy)}.",
            ]
            if mass
            else ["Ağırlığı bir gramdan azdır.", "Bir gramdan hafiftir."],
            limbs,
            age,
            TRAITS[row["class"]],
        ],
        [],
        [kind, kinds, diet, own],
        [("sınıf", kind), ("beslenme", diet), ("boy", row["length_cm"]), ("ağırlık", row["weight_kg"])],
        [upper_first(kinds, "tr")],
    )


def plant(world: World, row: Row) -> Draft:
    """A plant."""
    top = upper_first(row["tr"], "tr")
    kind, family, tall = KINDS[row["kind"]], row["family_latin"], measure(row["height_cm"])
    wide = row["continent"] in ("worldwide", "oceans")
    home = CONTINENTS.get(row["continent"], "")
    eat = (
        ["Yenebilen bir bitkidir.", "Bitki ya da bazı bölümleri yenebilir."]
        if row["edible"] == "yes"
        else ["Yenen bir bitki değildir.", "Besin olarak yetiştirilmez."]
    )
    return Draft(
        top,
        [
            f"{top}, {family} familyasından bir {cop(kind)}.",
            f"{top} bir {cop(kind)}.",
            f"{top}, {family} familyasında yer alan bir bitkidir.",
            f"{top}, boyu yaklaşık {tall} olan bir {cop(kind)}.",
        ],
        [
            [
                f"Botanikte {family} familyasında yer alır.",
                f"Bitki {family} familyasındandır.",
                f"Bitkinin familyası {family} adını taşır.",
            ],
            [f"Ana vatanı {cop(home, True)}.", f"Bitkinin ana vatanı {cop(home, True)}.", f"Bitki {abl(home)} gelmiştir."]
            if not wide
            else ["Dünyanın birçok yerinde yetişir.", "Bitkiye dünyanın her yerinde rastlanır."],
            [f"Boyu yaklaşık {cop(tall)}.", f"Yaklaşık {tall} boyundadır.", f"Boyu yaklaşık {dat(tall, False)} ulaşır."],
            eat,
            USES[row["kind"]],
            [
                "Öteki yeşil bitkiler gibi ışık, su ve havayla yaşar.",
                "Büyümek için ışığa ve suya ihtiyaç duyar.",
                "Yeşil yaprakları güneş ışığını alır.",
            ],
            [
                "Kökleri topraktan su ve mineral alır.",
                "Kökleri bitkiyi toprağa bağlar.",
                "En iyi mineral bakımından zengin toprakta yetişir.",
            ],
            [
                "Bugün dünyanın başka yerlerinde de yetişir.",
                "Birçok insan bu bitkiyi tanır.",
                "İnsanlar bu bitkiyi çok uzun zamandır tanır.",
            ],
        ],
        [],
        [family, kind],
        [("familya", family), ("boy", row["height_cm"])],
        [family],
    )
