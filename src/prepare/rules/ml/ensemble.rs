//! Tree ensembles as their nodes tell them, in one form for all versions of the operators.

use crate::onnx::proto::NodeProto;
use std::collections::{HashMap, HashSet};

/// What is wrong with a node, with what to do.
pub(super) type Fault = String;

/// What a branch asks of a feature. Thresholds are kept by their bits, so that equal questions are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Ask {
    /// More than the threshold.
    More,
    /// Less than the threshold.
    Less,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Question {
    Compare {
        ask: Ask,
        feature: usize,
        threshold: u32,
    },
    /// Whether it is one of these.
    Among {
        feature: usize,
        members: Vec<u32>,
    },
}

/// A tree, or part of one. A leaf has a weight for each target that it speaks of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Leaf(Vec<Option<f64>>),
    Branch(Box<Branch>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub(super) question: Question,
    pub(super) yes: Tree,
    pub(super) no: Tree,
}

/// How the trees' answers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Least,
    Most,
}

/// What is done to the scores at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    Nothing,
    Logistic,
    Softmax,
}

/// Whether leaves speak of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Always,
    Never,
    Sometimes,
}

#[derive(Clone, Debug)]
pub(super) struct Ensemble {
    pub(super) trees: Vec<Tree>,
    pub(super) targets: usize,
    pub(super) aggregate: Aggregate,
    pub(super) base: Vec<f32>,
    pub(super) post: Post,
}

impl Ensemble {
    /// From TreeEnsembleClassifier (`targets` are its classes) and TreeEnsembleRegressor.
    pub(super) fn old(node: &NodeProto, what: &str, targets: usize) -> Result<Self, Fault> {
        let list = |name: &str| node.ints(&format!("{what}_{name}")).to_vec();
        let ids = node.ints("nodes_nodeids");
        let trees = node.ints("nodes_treeids");
        let modes = node.strings("nodes_modes");
        let values = floats(node, "nodes_values");
        let features = node.ints("nodes_featureids");
        let (yes, no) = (node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids"));
        let lengths = [trees.len(), modes.len(), values.len(), features.len(), yes.len(), no.len()];
        if lengths.iter().any(|length| *length != ids.len()) {
            return Err("its lists of nodes differ in length; export the model again".to_owned());
        }
        let mut leaves: HashMap<(i64, i64), Vec<(usize, f64)>> = HashMap::new();
        let weights = floats(node, &format!("{what}_weights"));
        for (((tree, id), target), weight) in
            list("treeids").iter().zip(list("nodeids")).zip(list("ids")).zip(&weights)
        {
            let target = usize::try_from(target).ok().filter(|it| *it < targets);
            let target = target.ok_or("a leaf has a weight for a target that is none")?;
            leaves.entry((*tree, id)).or_default().push((target, f64::from(*weight)));
        }
        let mut source = Source { targets, nodes: HashMap::new(), left: 0 };
        for place in 0..ids.len() {
            let at = (trees[place], ids[place]);
            let known = if modes[place] == "LEAF" {
                Known::Leaf(leaves.remove(&at).unwrap_or_default())
            } else {
                Known::Branch {
                    mode: mode(modes[place])?,
                    feature: features[place],
                    values: vec![values[place]],
                    yes: (at.0, yes[place]),
                    no: (at.0, no[place]),
                }
            };
            source.nodes.insert(at, known);
        }
        // The first node of a tree is its root.
        let mut seen = HashSet::new();
        let all = trees.iter().copied().zip(ids.iter().copied());
        let roots: Vec<_> = all.filter(|(tree, _)| seen.insert(*tree)).collect();
        let aggregate = match node.string("aggregate_function").unwrap_or("SUM") {
            "AVERAGE" => Aggregate::Average,
            "MIN" => Aggregate::Least,
            "MAX" => Aggregate::Most,
            _ => Aggregate::Sum,
        };
        Ok(Self {
            trees: source.trees(&roots)?,
            targets,
            aggregate,
            base: floats(node, "base_values"),
            post: post(node.string("post_transform").unwrap_or("NONE"))?,
        })
    }

    /// From TreeEnsemble.
    pub(super) fn new(node: &NodeProto) -> Result<Self, Fault> {
        let numbers = |name: &str| -> Vec<f64> {
            let tensor = node.attribute(name).and_then(|attribute| attribute.t.as_ref());
            tensor.and_then(|tensor| tensor.numbers()).unwrap_or_default()
        };
        let targets = usize::try_from(node.int("n_targets").unwrap_or(1)).unwrap_or(1);
        let splits = numbers("nodes_splits");
        let modes = numbers("nodes_modes");
        let features = node.ints("nodes_featureids");
        let (yes, no) = (node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids"));
        let leaf = (node.ints("nodes_trueleafs"), node.ints("nodes_falseleafs"));
        let lengths =
            [modes.len(), features.len(), yes.len(), no.len(), leaf.0.len(), leaf.1.len()];
        if lengths.iter().any(|length| *length != splits.len()) {
            return Err("its lists of nodes differ in length; export the model again".to_owned());
        }
        let members = numbers("membership_values");
        let mut members = members.split(|value| value.is_nan());
        let mut source = Source { targets, nodes: HashMap::new(), left: 0 };
        // Leaves and nodes are numbered apart: here the first number of a place tells which.
        for (place, (target, weight)) in
            node.ints("leaf_targetids").iter().zip(numbers("leaf_weights")).enumerate()
        {
            let target = usize::try_from(*target).ok().filter(|it| *it < targets);
            let target = target.ok_or("a leaf has a weight for a target that is none")?;
            source.nodes.insert((1, place as i64), Known::Leaf(vec![(target, weight)]));
        }
        let modes: Vec<Mode> = modes
            .iter()
            .map(|mode| match *mode as i64 {
                0 => Ok(Mode::AtMost),
                1 => Ok(Mode::Less),
                2 => Ok(Mode::AtLeast),
                3 => Ok(Mode::More),
                4 => Ok(Mode::Among),
                5 => Ok(Mode::NotAmong),
                6 => Ok(Mode::Member),
                other => Err(format!("its nodes have the mode {other}, which is none")),
            })
            .collect::<Result<_, _>>()?;
        for place in 0..splits.len() {
            let values = match modes[place] {
                Mode::Member => members.next().unwrap_or_default().to_vec(),
                _ => vec![splits[place]],
            };
            let known = Known::Branch {
                mode: modes[place],
                feature: features[place],
                values: values.into_iter().map(|value| value as f32).collect(),
                yes: (leaf.0[place].signum(), yes[place]),
                no: (leaf.1[place].signum(), no[place]),
            };
            source.nodes.insert((0, place as i64), known);
        }
        let roots: Vec<_> = node.ints("tree_roots").iter().map(|root| (0, *root)).collect();
        let aggregate = match node.int("aggregate_function").unwrap_or(1) {
            0 => Aggregate::Average,
            2 => Aggregate::Least,
            3 => Aggregate::Most,
            _ => Aggregate::Sum,
        };
        let post = post(match node.int("post_transform").unwrap_or(0) {
            1 => "SOFTMAX",
            2 => "LOGISTIC",
            3 => "SOFTMAX_ZERO",
            4 => "PROBIT",
            _ => "NONE",
        })?;
        Ok(Self { trees: source.trees(&roots)?, targets, aggregate, base: Vec::new(), post })
    }

    /// Whether an observation always comes to a leaf that speaks of the target.
    pub(super) fn spoken(&self, target: usize) -> Spoken {
        let trees = self.trees.iter().map(|tree| tree.spoken(target));
        let mut some = false;
        for spoken in trees {
            match spoken {
                Spoken::Always => return Spoken::Always,
                Spoken::Sometimes => some = true,
                Spoken::Never => {}
            }
        }
        if some { Spoken::Sometimes } else { Spoken::Never }
    }

    /// Whether no leaf takes anything away.
    pub(super) fn is_positive(&self) -> bool {
        self.trees.iter().all(Tree::is_positive)
    }
}

impl Tree {
    pub(super) fn spoken(&self, target: usize) -> Spoken {
        match self {
            Self::Leaf(weights) if weights[target].is_some() => Spoken::Always,
            Self::Leaf(_) => Spoken::Never,
            Self::Branch(branch) => match (branch.yes.spoken(target), branch.no.spoken(target)) {
                (one, other) if one == other => one,
                _ => Spoken::Sometimes,
            },
        }
    }

    fn is_positive(&self) -> bool {
        match self {
            Self::Leaf(weights) => weights.iter().flatten().all(|weight| *weight >= 0.0),
            Self::Branch(branch) => branch.yes.is_positive() && branch.no.is_positive(),
        }
    }
}

/// What becomes of scores, by ONNX's name.
pub(super) fn post(name: &str) -> Result<Post, Fault> {
    match name {
        "NONE" => Ok(Post::Nothing),
        "LOGISTIC" => Ok(Post::Logistic),
        "SOFTMAX" => Ok(Post::Softmax),
        "SOFTMAX_ZERO" => {
            Err("its SOFTMAX_ZERO sets scores of exactly 0 apart, which rounded numbers can't; \
                               export the model with SOFTMAX"
                .to_owned())
        }
        other => Err(format!(
            "ezkl has nothing for its post_transform {other}; export the model with NONE or LOGISTIC"
        )),
    }
}

/// A list of floats, which newer versions may have as a tensor.
pub(super) fn floats(node: &NodeProto, name: &str) -> Vec<f32> {
    let tensor = node.attribute(&format!("{name}_as_tensor")).and_then(|it| it.t.as_ref());
    match tensor.and_then(|tensor| tensor.numbers()) {
        Some(numbers) => numbers.into_iter().map(|number| number as f32).collect(),
        None => node.floats(name).to_vec(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    AtMost,
    Less,
    AtLeast,
    More,
    Among,
    NotAmong,
    Member,
}

fn mode(name: &str) -> Result<Mode, Fault> {
    match name {
        "BRANCH_LEQ" => Ok(Mode::AtMost),
        "BRANCH_LT" => Ok(Mode::Less),
        "BRANCH_GTE" => Ok(Mode::AtLeast),
        "BRANCH_GT" => Ok(Mode::More),
        "BRANCH_EQ" => Ok(Mode::Among),
        "BRANCH_NEQ" => Ok(Mode::NotAmong),
        other => Err(format!("its nodes have the mode {other}, which is none of ONNX's")),
    }
}

/// Where a node is: its tree and its number.
type Place = (i64, i64);

enum Known {
    Leaf(Vec<(usize, f64)>),
    Branch { mode: Mode, feature: i64, values: Vec<f32>, yes: Place, no: Place },
}

struct Source {
    targets: usize,
    nodes: HashMap<Place, Known>,
    /// How many more nodes a walk may meet before it goes in circles.
    left: usize,
}

impl Source {
    fn trees(&mut self, roots: &[Place]) -> Result<Vec<Tree>, Fault> {
        roots
            .iter()
            .map(|root| {
                self.left = 2 * self.nodes.len() + 1;
                self.tree(*root)
            })
            .collect()
    }

    fn tree(&mut self, place: Place) -> Result<Tree, Fault> {
        self.left = self.left.checked_sub(1).ok_or("one of its trees goes in circles")?;
        let (mode, feature, values, yes, no) = match self.nodes.get(&place) {
            None => return Err("one of its branches leads nowhere; export the model again".into()),
            Some(Known::Leaf(given)) => {
                let mut weights = vec![None; self.targets];
                for (target, weight) in given {
                    *weights[*target].get_or_insert(0.0) += weight;
                }
                return Ok(Tree::Leaf(weights));
            }
            Some(Known::Branch { mode, feature, values, yes, no }) => {
                (*mode, *feature, values.clone(), *yes, *no)
            }
        };
        let feature = usize::try_from(feature).map_err(|_| "one of its features is none")?;
        let (yes, no) = (self.tree(yes)?, self.tree(no)?);
        if yes == no {
            return Ok(yes);
        }
        Ok(match ask(mode, feature, &values) {
            Asked::Known(true) => yes,
            Asked::Known(false) => no,
            Asked::Question(question, true) => {
                Tree::Branch(Box::new(Branch { question, yes: no, no: yes }))
            }
            Asked::Question(question, false) => {
                Tree::Branch(Box::new(Branch { question, yes, no }))
            }
        })
    }
}

enum Asked {
    /// The same for all numbers.
    Known(bool),
    /// A question; the branches change places where it is the opposite that is asked.
    Question(Question, bool),
}

fn ask(mode: Mode, feature: usize, values: &[f32]) -> Asked {
    let threshold = values.first().copied().unwrap_or(f32::NAN);
    let (ask, opposite) = match mode {
        Mode::Among | Mode::Member | Mode::NotAmong => {
            let finite = values.iter().filter(|value| value.is_finite());
            // -0 is 0.
            let mut members: Vec<u32> = finite.map(|value| (value + 0.0).to_bits()).collect();
            members.sort_unstable();
            members.dedup();
            return match (members.is_empty(), mode) {
                (true, mode) => Asked::Known(mode == Mode::NotAmong),
                (false, mode) => {
                    Asked::Question(Question::Among { feature, members }, mode == Mode::NotAmong)
                }
            };
        }
        Mode::More => (Ask::More, false),
        Mode::AtMost => (Ask::More, true),
        Mode::Less => (Ask::Less, false),
        Mode::AtLeast => (Ask::Less, true),
    };
    if !threshold.is_finite() {
        let finite = match mode {
            Mode::More => 0.0 > threshold,
            Mode::AtMost => 0.0 <= threshold,
            Mode::Less => 0.0 < threshold,
            _ => 0.0 >= threshold,
        };
        return Asked::Known(finite);
    }
    // `x > t` is `x >= t'` for the next float t'. Exporters write one for the other, and of a pair such as 0.5 and
    // 0.49999997 a circuit's fixed point holds only the rounder one.
    let next = match ask {
        Ask::More => threshold.next_up(),
        Ask::Less => threshold.next_down(),
    };
    let (ask, threshold, opposite) = if zeros(next) >= zeros(threshold) + 8 {
        let other = if ask == Ask::More { Ask::Less } else { Ask::More };
        (other, next, !opposite)
    } else {
        (ask, threshold, opposite)
    };
    let threshold = (threshold + 0.0).to_bits();
    Asked::Question(Question::Compare { ask, feature, threshold }, opposite)
}

/// How many of a float's last binary digits are 0.
fn zeros(value: f32) -> u32 {
    value.to_bits().trailing_zeros().min(23)
}
