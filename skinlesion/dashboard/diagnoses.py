"""The seven diagnoses in a few sentences each, and how much a missed one matters, in words."""

#: What HAM10000 counts as the class (Tschandl P, Rosendahl C, Kittler H. Sci Data 5, 180161 (2018)).
TEXTS = {
    "akiec": "Actinic keratoses and Bowen's disease: common forms of squamous cell carcinoma that do not invade. Most "
    "grow on skin that the sun has damaged. They can be treated locally without surgery; some become invasive.",
    "bcc": "Basal cell carcinoma: a common cancer of the skin. It rarely spreads to other organs, but destroys the "
    "tissue around it if it is not treated.",
    "bkl": "Benign keratosis: seborrhoeic keratoses, solar lentigines, and lichen-planus-like keratoses, which are "
    "either of these with inflammation and regression. They are harmless; the last may look like melanoma.",
    "df": "Dermatofibroma: a benign growth, or a reaction to a small injury. It is brown, often with a white centre, "
    "and harmless.",
    "mel": "Melanoma: a cancer of the pigment cells. It can spread to other organs; an early one can be cured by "
    "cutting it out. The class holds melanomas in situ too, but none without pigment, and none of the eye, the mucosa "
    "or under the nail.",
    "nv": "Melanocytic naevus: a benign growth of pigment cells, a mole. There are many forms; most are symmetric in "
    "colour and structure, which melanomas are not.",
    "vasc": "Vascular lesion: angiomas, angiokeratomas, pyogenic granulomas and bleeding into the skin. They are red "
    "or purple, with sharp borders, and benign.",
}

#: Class → how much it matters to miss it.
RISKS = {"mel": "high", "bcc": "high", "akiec": "moderate", "bkl": "low", "df": "low", "nv": "low", "vasc": "low"}

_COLOURS = {"high": "red", "moderate": "orange", "low": "green"}


def risk_badge(dx: str) -> str:
    """Return the level of risk of a diagnosis as a coloured badge of Streamlit's Markdown."""
    level = RISKS[dx]
    return f":{_COLOURS[level]}-badge[{level}]"
