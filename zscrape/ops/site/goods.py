"""What the shop sells and the blog says: made up, and always the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

PAGE_LENGTH: Final = 12

CATEGORIES: Final = {
    "tea": "차와 다과 · Tea",
    "ceramics": "도자기 · Ceramics",
    "kitchen": "주방 · Kitchen",
    "stationery": "문구 · Stationery",
    "books": "책 · Books",
}

# slug, name, price in won; twelve of each category
_GOODS: Final = {
    "tea": (
        ("ujeon-green-tea", "우전 녹차 40g", 38000),
        ("sejak-green-tea", "세작 녹차 80g", 29000),
        ("barley-tea", "보리차 티백 50개", 6500),
        ("buckwheat-tea", "메밀차 300g", 9800),
        ("yuzu-tea", "고흥 유자차 1kg", 14500),
        ("earl-grey", "Earl Grey, loose leaf 100 g", 17000),
        ("darjeeling-first-flush", "Darjeeling First Flush 75 g", 32000),
        ("assam-breakfast", "Assam Breakfast 125 g", 15500),
        ("honey-cookies", "꿀 약과 12개", 11900),
        ("rice-crackers", "현미 누룽지 과자", 4900),
        ("oat-biscuits", "Oat Biscuits, box of 20", 7200),
        ("tea-sampler", "Tea Sampler: six small tins", 26000),
    ),
    "ceramics": (
        ("moon-jar", "달항아리 (높이 24cm)", 185000),
        ("celadon-cup", "청자 찻잔", 42000),
        ("buncheong-bowl", "분청 대접", 36000),
        ("white-porcelain-plate", "백자 접시 22cm", 33000),
        ("onggi-crock", "옹기 항아리 5L", 54000),
        ("teapot-small", "Small Teapot, 350 ml", 61000),
        ("espresso-cups", "Espresso Cups, pair", 28000),
        ("ramen-bowl", "Ramen Bowl, indigo", 31000),
        ("flower-vase", "Flower Vase, ash glaze", 47000),
        ("incense-holder", "향꽂이", 19000),
        ("soy-dish", "간장 종지 3개 묶음", 12000),
        ("serving-tray", "Oval Serving Tray", 39000),
    ),
    "kitchen": (
        ("cast-iron-pot", "무쇠 가마솥 2.5L", 89000),
        ("brass-spoon-set", "방짜 유기 수저 2벌", 76000),
        ("bamboo-steamer", "Bamboo Steamer, 24 cm", 23000),
        ("chef-knife", "Chef's Knife, 20 cm", 118000),
        ("chopping-board", "느티나무 도마", 45000),
        ("linen-apron", "Linen Apron", 34000),
        ("salt-cellar", "Salt Cellar with Lid", 16500),
        ("sesame-oil", "참기름 320ml", 21000),
        ("perilla-oil", "들기름 320ml", 24000),
        ("gochujang", "찹쌀 고추장 500g", 13500),
        ("drying-rack", "Folding Drying Rack", 27000),
        ("kimchi-container", "김치통 8L", 18900),
    ),
    "stationery": (
        ("hanji-notebook", "한지 공책", 12500),
        ("calligraphy-brush", "서예 붓 (중)", 22000),
        ("ink-stick", "먹 1정", 15000),
        ("fountain-pen", "Fountain Pen, fine nib", 68000),
        ("dot-grid-pad", "Dot Grid Pad A5", 7800),
        ("washi-tape", "Paper Tape, five rolls", 9900),
        ("letter-set", "편지지와 봉투 세트", 8500),
        ("brass-ruler", "Brass Ruler, 15 cm", 14000),
        ("pencil-dozen", "Cedar Pencils, one dozen", 13200),
        ("desk-calendar", "탁상 달력", 11000),
        ("wax-seal", "Wax Seal Kit", 25500),
        ("book-darts", "Book Darts, tin of 50", 16000),
    ),
    "books": (
        ("seoul-on-foot", "걸어서 서울", 17800),
        ("han-river-atlas", "한강 지도책", 42000),
        ("slow-bread", "느린 빵", 16500),
        ("mountain-huts", "Mountain Huts of Jirisan", 28000),
        ("tidal-flats", "갯벌의 사계", 24500),
        ("night-trains", "Night Trains", 19500),
        ("small-gardens", "Small Gardens", 22000),
        ("pottery-basics", "도예 첫걸음", 21000),
        ("fermentation", "The Fermentation Year", 31000),
        ("paper-folding", "종이접기 백과", 15800),
        ("lighthouse-keepers", "The Lighthouse Keepers", 18500),
        ("haenyeo", "해녀의 바다", 20500),
    ),
}


class Product(Struct, frozen=True):
    """One thing that the shop sells."""

    slug: str
    name: str
    category: str
    price_won: int  # on day 0
    stock_count: int
    rating: float
    weight_g: int

    def price_on(self, day: int) -> int:
        """Return the price on a day: it moves by up to 10 %, in steps of 100 won."""
        if day == 0:
            return self.price_won
        swing = (
            day * 8 + len(self.slug) * 3
        ) % 21 - 10  # -10 to 10 percent, a full turn in 21 days
        return round(self.price_won * (100 + swing) / 100 / 100) * 100


class Post(Struct, frozen=True):
    """One entry of the blog."""

    slug: str
    title: str
    author: str
    published_at: datetime
    tags: tuple[str, ...]
    paragraphs: tuple[str, ...]


def _products() -> tuple[Product, ...]:
    listed = [(category, *each) for category, goods in _GOODS.items() for each in goods]
    return tuple(
        Product(
            slug=slug,
            name=name,
            category=category,
            price_won=price_won,
            stock_count=(number * 37) % 23,
            rating=round(3.0 + (number * 13) % 20 / 10, 1),
            weight_g=100 + (number * 53) % 1900,
        )
        for number, (category, slug, name, price_won) in enumerate(listed, start=1)
    )


PRODUCTS: Final = _products()
PRODUCT_BY_SLUG: Final = {each.slug: each for each in PRODUCTS}

POSTS: Final = (
    Post(
        "first-harvest",
        "우전, 첫 잎을 따는 날",
        "김하늘",
        datetime(2026, 4, 20, 9, 0, tzinfo=UTC),
        ("tea", "하동"),
        (
            "곡우 전에 딴 첫 잎은 하루에 한 바구니도 채우기 어렵습니다.",
            "올해 하동의 첫 수확은 작년보다 닷새 늦었지만 향은 더 깊습니다.",
        ),
    ),
    Post(
        "moon-jar-kiln",
        "Three days beside a wood-fired kiln",
        "Minjae Park",
        datetime(2026, 4, 2, 8, 30, tzinfo=UTC),
        ("ceramics",),
        (
            "A moon jar is thrown as two bowls and joined at the belly; the seam is its signature.",
            "Of the eleven jars that went in, four came out whole. We kept the cracked ones, too.",
        ),
    ),
    Post(
        "caring-for-cast-iron",
        "Caring for a cast-iron pot",
        "Jiwoo Lee",
        datetime(2026, 3, 18, 10, 15, tzinfo=UTC),
        ("kitchen", "how-to"),
        (
            "Wash with hot water, dry at once, and rub in a thin film of oil while it is warm.",
            "Rust is not the end: scrub it off, season the pot again, and cook on.",
        ),
    ),
    Post(
        "hanji-paper",
        "한지는 왜 천 년을 가는가",
        "이서연",
        datetime(2026, 3, 1, 7, 0, tzinfo=UTC),
        ("stationery",),
        (
            "닥나무 껍질의 긴 섬유가 서로 얽혀 종이를 붙잡습니다.",
            "잿물에 삶고 흐르는 물에 씻는 일이 산성을 없앱니다.",
        ),
    ),
    Post(
        "winter-reading",
        "Seven books for the last cold weeks",
        "Minjae Park",
        datetime(2026, 2, 11, 12, 0, tzinfo=UTC),
        ("books",),
        (
            "Short days ask for long books; we picked seven that do not feel long.",
            "Four of them are new to the shelf, and one is older than the shop.",
        ),
    ),
    Post(
        "gochujang-day",
        "고추장 담그는 날",
        "김하늘",
        datetime(2026, 1, 24, 9, 45, tzinfo=UTC),
        ("kitchen", "발효"),
        (
            "찹쌀풀이 식기를 기다리는 동안 고춧가루를 두 번 칩니다.",
            "항아리는 햇볕이 잘 드는 곳에 두고 맑은 날에만 뚜껑을 엽니다.",
        ),
    ),
    Post(
        "pencil-hardness",
        "HB, 2B, or what?",
        "Jiwoo Lee",
        datetime(2025, 12, 9, 15, 0, tzinfo=UTC),
        ("stationery", "how-to"),
        (
            "More clay makes a lead harder and lighter; more graphite makes it soft and dark.",
            "For notes on dot grid paper we like 2B; for margins that must last, HB.",
        ),
    ),
    Post(
        "opening-day",
        "가게 문을 열었습니다",
        "이서연",
        datetime(2025, 11, 3, 0, 0, tzinfo=UTC),
        ("shop",),
        (
            "골목 안쪽 작은 가게에서 차와 그릇과 책을 팝니다.",
            "The kettle is always on. Come in and look around.",
        ),
    ),
)
POST_BY_SLUG: Final = {each.slug: each for each in POSTS}
