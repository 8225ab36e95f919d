"""The vocabulary of HAM10000: class names and their order, sexes, anatomical sites, columns of probabilities."""

#: The class order of all columns of probabilities, confusion matrices and integer labels.
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")

CLASS_NAMES = {
    "akiec": "actinic keratosis / Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic naevus",
    "vasc": "vascular lesion",
}

#: The classes that count as malignant; actinic keratosis, a precursor of carcinoma, is one of them.
MALIGNANT = ("akiec", "bcc", "mel")

#: What HAM10000 writes for a missing sex or localization.
UNKNOWN = "unknown"

SEXES = ("female", "male")

LOCALIZATIONS = (
    "abdomen",
    "acral",
    "back",
    "chest",
    "ear",
    "face",
    "foot",
    "genital",
    "hand",
    "lower extremity",
    "neck",
    "scalp",
    "trunk",
    "upper extremity",
)

#: Columns of a predictions file that hold probabilities, in class order.
PROBABILITY_COLUMNS = tuple(f"p_{name}" for name in CLASSES)

ATTRIBUTION = (
    "HAM10000 Dataset: (c) by ViDIR Group, Department of Dermatology, Medical University of Vienna; "
    "https://doi.org/10.1038/sdata.2018.161"
)

#: Columns of a list of image pairs known to show one lesion.
PAIR_COLUMNS = ("first", "second", "reason")
