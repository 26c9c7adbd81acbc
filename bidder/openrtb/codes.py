"""Code lists of OpenRTB and what they name: countries, operating systems, creative formats.

Countries are ISO 3166-1: requests and campaigns say alpha-3, regions (ISO 3166-2)
begin with alpha-2. Counters and tokens carry three letters as one number (`pack3`).
"""

from bidder._fast.request import OS_ALIASES, OS_NAMES
from bidder._fast.request import os_key_of as os_key

__all__ = ["ALPHA2", "ALPHA3", "FORMATS", "OS_ALIASES", "OS_NAMES", "os_key", "pack3", "region_code", "unpack3"]

FORMATS = {1: "banner", 2: "video", 3: "audio", 4: "native"}  # bid.mtype

# alpha-3 and alpha-2 run together.
_COUNTRIES = """
    ABWAW AFGAF AGOAO AIAAI ALAAX ALBAL ANDAD AREAE ARGAR ARMAM ASMAS ATAAQ ATFTF ATGAG AUSAU AUTAT AZEAZ BDIBI
    BELBE BENBJ BESBQ BFABF BGDBD BGRBG BHRBH BHSBS BIHBA BLMBL BLRBY BLZBZ BMUBM BOLBO BRABR BRBBB BRNBN BTNBT
    BVTBV BWABW CAFCF CANCA CCKCC CHECH CHLCL CHNCN CIVCI CMRCM CODCD COGCG COKCK COLCO COMKM CPVCV CRICR CUBCU
    CUWCW CXRCX CYMKY CYPCY CZECZ DEUDE DJIDJ DMADM DNKDK DOMDO DZADZ ECUEC EGYEG ERIER ESHEH ESPES ESTEE ETHET
    FINFI FJIFJ FLKFK FRAFR FROFO FSMFM GABGA GBRGB GEOGE GGYGG GHAGH GIBGI GINGN GLPGP GMBGM GNBGW GNQGQ GRCGR
    GRDGD GRLGL GTMGT GUFGF GUMGU GUYGY HKGHK HMDHM HNDHN HRVHR HTIHT HUNHU IDNID IMNIM INDIN IOTIO IRLIE IRNIR
    IRQIQ ISLIS ISRIL ITAIT JAMJM JEYJE JORJO JPNJP KAZKZ KENKE KGZKG KHMKH KIRKI KNAKN KORKR KWTKW LAOLA LBNLB
    LBRLR LBYLY LCALC LIELI LKALK LSOLS LTULT LUXLU LVALV MACMO MAFMF MARMA MCOMC MDAMD MDGMG MDVMV MEXMX MHLMH
    MKDMK MLIML MLTMT MMRMM MNEME MNGMN MNPMP MOZMZ MRTMR MSRMS MTQMQ MUSMU MWIMW MYSMY MYTYT NAMNA NCLNC NERNE
    NFKNF NGANG NICNI NIUNU NLDNL NORNO NPLNP NRUNR NZLNZ OMNOM PAKPK PANPA PCNPN PERPE PHLPH PLWPW PNGPG POLPL
    PRIPR PRKKP PRTPT PRYPY PSEPS PYFPF QATQA REURE ROURO RUSRU RWARW SAUSA SDNSD SENSN SGPSG SGSGS SHNSH SJMSJ
    SLBSB SLESL SLVSV SMRSM SOMSO SPMPM SRBRS SSDSS STPST SURSR SVKSK SVNSI SWESE SWZSZ SXMSX SYCSC SYRSY TCATC
    TCDTD TGOTG THATH TJKTJ TKLTK TKMTM TLSTL TONTO TTOTT TUNTN TURTR TUVTV TWNTW TZATZ UGAUG UKRUA UMIUM URYUY
    USAUS UZBUZ VATVA VCTVC VENVE VGBVG VIRVI VNMVN VUTVU WLFWF WSMWS YEMYE ZAFZA ZMBZM ZWEZW
"""

ALPHA2 = {pair[:3]: pair[3:] for pair in _COUNTRIES.split()}
"""Alpha-3 -> alpha-2."""
ALPHA3 = {alpha2: alpha3 for alpha3, alpha2 in ALPHA2.items()}
"""Alpha-2 -> alpha-3."""


def pack3(text: str) -> int:
    """Three ASCII letters as 1..17576, without case; 0 for anything else. As `pack3` of the reader."""
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        return 0
    packed = 0
    for letter in text.upper():
        packed = packed * 26 + ord(letter) - 65
    return packed + 1


def unpack3(packed: int) -> str:
    """The letters of `pack3`, upper case; "" for 0. ValueError for a number that it never gives."""
    if not 0 <= packed <= 26**3:
        raise ValueError(f"{packed} packs no three letters: 0 to {26**3} is wanted")
    if packed == 0:
        return ""
    high, low = divmod(packed - 1, 26)
    return "".join(chr(65 + n) for n in (*divmod(high, 26), low))


def region_code(country: str | None, region: str | None) -> str | None:
    """ISO 3166-2 of `device.geo`: `CAN` and `QC` are `CA-QC`, and what is such a code already stays.

    None where the region is missing, or the country that it needs is missing or unknown.
    """
    if not region:
        return None
    if len(region) > 3 and region[2] == "-" and region[:2].isascii() and region[:2].isalpha() and region[:2].isupper():
        return region
    alpha2 = ALPHA2.get(country or "")
    return f"{alpha2}-{region}" if alpha2 else None
