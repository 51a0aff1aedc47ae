# What type checkers and editors see of __init__.py, which imports these when they are first asked for.
from pagboost.api.boosting import boost as boost
from pagboost.api.boosting import load_guide as load_guide
from pagboost.api.scoring import Evaluation as Evaluation
from pagboost.api.scoring import evaluate as evaluate
from pagboost.api.scoring import load_extractor as load_extractor
from pagboost.api.scoring import make_reference as make_reference
from pagboost.artifacts import SampleSet as SampleSet
from pagboost.artifacts import load_samples as load_samples
from pagboost.artifacts import save_samples as save_samples
from pagboost.boosting.guide import Guide as Guide
from pagboost.errors import InputError as InputError
from pagboost.version import __version__ as __version__
