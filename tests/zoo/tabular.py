"""scikit-learn's estimators and pipelines, as skl2onnx exports them."""

import numpy
from case import Case, add, maker
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import cluster, compose, datasets, decomposition, ensemble, feature_selection, impute, linear_model
from sklearn import naive_bayes, neighbors, neural_network, pipeline, preprocessing, svm, tree

IRIS, SPECIES = datasets.load_iris(return_X_y=True)
IRIS = IRIS.astype(numpy.float32)
NAMES = numpy.array(["setosa", "versicolor", "virginica"])
DIABETES, PROGRESS = datasets.load_diabetes(return_X_y=True, scaled=False)
DIABETES = DIABETES[:, [0, 2, 3, 8, 9]].astype(numpy.float32)
# Versicolor or virginica: two classes that a line does not quite part.
PAIR = IRIS[50:], (SPECIES[50:] == 2).astype(numpy.int64)
FLOWER = IRIS[70:71]
PATIENT = DIABETES[7:8]


def classifier(name, model, *, zipmap=True, data=(IRIS, SPECIES), sample=FLOWER, classes=None, options=None):
    """`zipmap` as skl2onnx means it: True by default, False, or "columns"."""

    def make():
        model.fit(*data)
        chosen = dict(options or {})
        if zipmap is not True:
            chosen["zipmap"] = zipmap
        exported = to_onnx(model, sample, options=chosen or None)
        return Case(exported, [sample], classes)

    add(name, make)


def regressor(name, model, data=(DIABETES, PROGRESS), sample=PATIENT):
    def make():
        model.fit(*data)
        return Case(to_onnx(model, sample), [sample])

    add(name, make)


def scaled(*steps):
    return pipeline.make_pipeline(preprocessing.StandardScaler(), *steps)


classifier("sk_logistic", scaled(linear_model.LogisticRegression()))
classifier("sk_logistic_no_zipmap", scaled(linear_model.LogisticRegression()), zipmap=False)
classifier("sk_logistic_columns", scaled(linear_model.LogisticRegression()), zipmap="columns", data=PAIR)
classifier(
    "sk_logistic_strings", scaled(linear_model.LogisticRegression()), data=(IRIS, NAMES[SPECIES]), classes=NAMES.tolist()
)
classifier("sk_tree", tree.DecisionTreeClassifier(max_depth=3, random_state=0))
classifier(
    "sk_tree_strings",
    tree.DecisionTreeClassifier(max_depth=3, random_state=0),
    zipmap=False,
    data=(IRIS, NAMES[SPECIES]),
    classes=NAMES.tolist(),
)
regressor("sk_tree_regressor", tree.DecisionTreeRegressor(max_depth=4, random_state=0))
classifier("sk_forest", ensemble.RandomForestClassifier(8, max_depth=3, random_state=0), zipmap=False)
regressor("sk_forest_regressor", ensemble.RandomForestRegressor(8, max_depth=3, random_state=0))
classifier("sk_extra_trees", ensemble.ExtraTreesClassifier(5, max_depth=3, random_state=0))
classifier("sk_boosting_binary", ensemble.GradientBoostingClassifier(n_estimators=8, max_depth=2, random_state=0), data=PAIR)
classifier("sk_boosting", ensemble.GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0), zipmap=False)
regressor("sk_boosting_regressor", ensemble.GradientBoostingRegressor(n_estimators=8, max_depth=3, random_state=0))
classifier("sk_hist_boosting", ensemble.HistGradientBoostingClassifier(max_iter=8, max_depth=3, random_state=0), data=PAIR)
regressor("sk_hist_boosting_regressor", ensemble.HistGradientBoostingRegressor(max_iter=8, max_depth=3, random_state=0))
# Inside a pipeline skl2onnx gives a LinearSVC an option that it doesn't know, unless it has some of its own.
classifier("sk_linear_svc", scaled(svm.LinearSVC(random_state=0)), options={svm.LinearSVC: {"raw_scores": False}})
classifier("sk_svc_linear", scaled(svm.SVC(kernel="linear")), data=PAIR)
classifier("sk_svc_rbf", scaled(svm.SVC(kernel="rbf", C=0.5, gamma=0.5)), zipmap=False, data=PAIR)
regressor("sk_svr_rbf", scaled(svm.SVR(kernel="rbf", C=50.0)), data=(DIABETES[:40], PROGRESS[:40]))
classifier("sk_mlp", scaled(neural_network.MLPClassifier(hidden_layer_sizes=(8,), max_iter=200, random_state=0)))
regressor(
    "sk_mlp_regressor",
    scaled(neural_network.MLPRegressor(hidden_layer_sizes=(8, 8), activation="tanh", solver="lbfgs", max_iter=200, random_state=0)),
)
regressor("sk_linear", linear_model.LinearRegression())
regressor("sk_polynomial", pipeline.make_pipeline(preprocessing.MinMaxScaler(), preprocessing.PolynomialFeatures(2), linear_model.Ridge()))
classifier("sk_pca", scaled(decomposition.PCA(2), linear_model.LogisticRegression()), zipmap=False)
classifier(
    "sk_imputer",
    pipeline.make_pipeline(impute.SimpleImputer(missing_values=-1.0), linear_model.LogisticRegression()),
    data=(numpy.where(IRIS == IRIS[:1], numpy.float32(-1), IRIS), SPECIES),
    sample=numpy.array([[5.5, -1.0, 4.0, 1.25]], numpy.float32),
)
classifier("sk_binarizer", pipeline.make_pipeline(preprocessing.Binarizer(threshold=3.1), linear_model.LogisticRegression()))
classifier("sk_normalizer", pipeline.make_pipeline(preprocessing.Normalizer("l2"), linear_model.LogisticRegression()), zipmap=False)
regressor("sk_robust_l1", pipeline.make_pipeline(preprocessing.Normalizer("l1"), preprocessing.RobustScaler(), linear_model.Lasso(0.01)))
classifier(
    "sk_feature_union",
    pipeline.make_pipeline(
        pipeline.make_union(decomposition.PCA(2), feature_selection.SelectKBest(k=2)), linear_model.LogisticRegression()
    ),
)
classifier("sk_knn", neighbors.KNeighborsClassifier(3), data=(IRIS[::8], SPECIES[::8]))
regressor("sk_knn_regressor", neighbors.KNeighborsRegressor(3), data=(DIABETES[:24], PROGRESS[:24]))
classifier("sk_gaussian_bayes", naive_bayes.GaussianNB(), zipmap=False)
classifier("sk_bernoulli_bayes", naive_bayes.BernoulliNB(binarize=2.0))


@maker
def sk_kmeans():
    model = cluster.KMeans(3, n_init=1, random_state=0).fit(IRIS)
    return Case(to_onnx(model, FLOWER), [FLOWER])


@maker
def sk_isolation_forest():
    model = ensemble.IsolationForest(n_estimators=4, max_samples=16, random_state=0).fit(IRIS)
    return Case(to_onnx(model, FLOWER, target_opset={"": 18, "ai.onnx.ml": 3}), [FLOWER])


def columns(kinds):
    """Age, income and a code or a name, each an input of its own, as a data frame is exported."""
    import pandas

    random = numpy.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "age": random.uniform(20, 70, 80).astype(numpy.float32),
            "income": random.uniform(1, 9, 80).astype(numpy.float32),
            "home": random.integers(0, 3, 80),
        }
    )
    target = (frame["income"] + frame["home"] > 6).astype(numpy.int64)
    if kinds == "names":
        frame["home"] = numpy.array(["owned", "rented", "other"])[frame["home"]]
    prepared = compose.ColumnTransformer(
        [
            ("numbers", preprocessing.StandardScaler(), ["age", "income"]),
            ("home", preprocessing.OneHotEncoder(), ["home"]),
        ]
    )
    model = pipeline.make_pipeline(prepared, linear_model.LogisticRegression()).fit(frame, target)
    third = StringTensorType([None, 1]) if kinds == "names" else Int64TensorType([None, 1])
    types = [("age", FloatTensorType([None, 1])), ("income", FloatTensorType([None, 1])), ("home", third)]
    home = numpy.array([["rented"]], object) if kinds == "names" else numpy.array([[1]], numpy.int64)
    inputs = [numpy.array([[35.0]], numpy.float32), numpy.array([[5.5]], numpy.float32), home]
    return Case(to_onnx(model, initial_types=types, options={"zipmap": False}), inputs)


@maker
def sk_columns():
    return columns("codes")


@maker
def sk_columns_of_text():
    return columns("names")
