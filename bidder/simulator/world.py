"""The world that synthetic traffic comes from, and that the example campaigns aim at.

Names of sites, apps and people are made up (`.example` domains, documentation addresses);
places, devices and categories are the field's. Weights are shares, not measurements.
"""

from typing import NamedTuple


class Place(NamedTuple):
    """Where a device can be."""

    country: str  # ISO 3166-1 alpha-3
    alpha2: str
    region: str  # as requests have it, without the country
    city: str
    metro: str  # "" where there is none
    zip: str
    lat: float
    lon: float
    language: str
    weight: int


PLACES = (
    Place("USA", "US", "NY", "New York", "501", "10001", 40.7128, -74.0060, "en", 14),
    Place("USA", "US", "CA", "Los Angeles", "803", "90001", 34.0522, -118.2437, "en", 12),
    Place("USA", "US", "IL", "Chicago", "602", "60601", 41.8781, -87.6298, "en", 8),
    Place("USA", "US", "TX", "Houston", "618", "77001", 29.7604, -95.3698, "es", 6),
    Place("USA", "US", "FL", "Miami", "528", "33101", 25.7617, -80.1918, "es", 5),
    Place("CAN", "CA", "ON", "Toronto", "", "M5H", 43.6532, -79.3832, "en", 6),
    Place("CAN", "CA", "QC", "Montreal", "", "H2Y", 45.5017, -73.5673, "fr", 4),
    Place("GBR", "GB", "ENG", "London", "", "SW1A", 51.5074, -0.1278, "en", 9),
    Place("DEU", "DE", "BE", "Berlin", "", "10115", 52.5200, 13.4050, "de", 6),
    Place("FRA", "FR", "IDF", "Paris", "", "75001", 48.8566, 2.3522, "fr", 6),
    Place("ESP", "ES", "MD", "Madrid", "", "28001", 40.4168, -3.7038, "es", 3),
    Place("BRA", "BR", "SP", "São Paulo", "", "01000", -23.5505, -46.6333, "pt", 5),
    Place("MEX", "MX", "CMX", "Ciudad de México", "", "06000", 19.4326, -99.1332, "es", 4),
    Place("IND", "IN", "MH", "Mumbai", "", "400001", 19.0760, 72.8777, "en", 6),
    Place("JPN", "JP", "13", "Tokyo", "", "100-0001", 35.6762, 139.6503, "ja", 4),
    Place("AUS", "AU", "NSW", "Sydney", "", "2000", -33.8688, 151.2093, "en", 2),
)


class Device(NamedTuple):
    """A kind of device; `osv` are the versions about."""

    os: str
    osv: tuple[str, ...]
    make: str
    models: tuple[str, ...]
    device_type: int  # AdCOM list Device Types
    ua: str
    weight: int


DEVICES = (
    Device("iOS", ("15.8", "16.7.2", "17.5", "18.1"), "Apple", ("iPhone14,5", "iPhone15,2", "iPhone16,1"), 4,
           "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15", 26),
    Device("iOS", ("16.6", "17.4"), "Apple", ("iPad13,1", "iPad14,3"), 5,
           "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) AppleWebKit/605.1.15", 5),
    Device("Android", ("11", "12", "13", "14"), "Samsung", ("SM-G991B", "SM-A546B", "SM-S918B"), 4,
           "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36", 24),
    Device("Android", ("10", "12", "13", "14"), "Google", ("Pixel 6", "Pixel 7a", "Pixel 8"), 4,
           "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36", 9),
    Device("Android", ("12", "13"), "Xiaomi", ("Redmi Note 12", "2201117TG"), 4,
           "Mozilla/5.0 (Linux; Android 13; 2201117TG) AppleWebKit/537.36", 8),
    Device("Windows", ("10", "11"), "", ("",), 2,
           "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36", 18),
    Device("macOS", ("13.6", "14.4"), "Apple", ("Macintosh",), 2,
           "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15", 8),
    Device("Linux", ("",), "", ("",), 2,
           "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", 2),
)  # fmt: skip

CARRIERS = ("Verizon", "AT&T", "T-Mobile", "Vodafone", "Orange", "Telefonica", "Rogers", "Docomo")
CONNECTION_TYPES = (1, 2, 4, 5, 6)  # AdCOM: ethernet, wifi, 2G .. 4G

SIZES = ((300, 250), (320, 50), (728, 90), (160, 600), (300, 600), (970, 250), (320, 100), (336, 280))
SIZE_WEIGHTS = (30, 25, 14, 7, 9, 5, 6, 4)

SITES = tuple(f"{kind}-{n}.example" for kind in ("news", "sports", "recipes", "weather", "cars") for n in range(1, 13))
APPS = tuple(f"com.{kind}{n}.app" for kind in ("puzzle", "runner", "chat", "radio") for n in range(1, 13))
SITE_CATEGORIES = {
    "news": ("IAB12", "IAB12-2"),
    "sports": ("IAB17", "IAB17-12"),
    "recipes": ("IAB8", "IAB8-9"),
    "weather": ("IAB15", "IAB15-10"),
    "cars": ("IAB2", "IAB2-7"),
}
APP_CATEGORIES = {
    "puzzle": ("IAB9", "IAB9-30"),
    "runner": ("IAB9", "IAB9-25"),
    "chat": ("IAB14",),
    "radio": ("IAB1", "IAB1-6"),
}
PUBLISHERS = tuple(f"pub-{n}" for n in range(1, 25))
DEALS = tuple(f"d-{n}" for n in range(1, 13))
SEGMENTS = tuple(f"s-{n}" for n in range(1, 31))
BLOCKED_CATEGORIES = ("IAB7-39", "IAB8-5", "IAB8-18", "IAB23", "IAB24", "IAB25", "IAB26", "IAB3-7")
BLOCKED_DOMAINS = ("casino.example", "tabloid.example", "globex.example", "hooli.example")
