//! Trees as few comparisons and a product a branch.
//!
//! A comparison is by far the dearest part: it takes about 24 rows where a product or a sum takes one. So a branch is
//! not compared because it is there. An observation comes by one branch on each level of a tree; from the
//! levels above it is known by which, and then one comparison will do for the whole level, of the difference that
//! this branch asks for. Where many trees ask the same question, comparing it once for all of them is cheaper, and
//! that is done instead.
//!
//! From level to level each branch has a 1 if the observation comes by it, else a 0. Times the comparison that is 1 if
//! it goes on to `yes`; what is left goes to `no`. All of it is whole numbers, of which nothing is rounded, and the
//! answer is one sum of products of them with the leaves' weights: a tree brings one rounded number.

use super::{
    super::super::rewriter::Rewriter,
    ensemble::{Aggregate, Ask, Ensemble, Question, Tree},
    plan,
};
use crate::onnx::tensor::element;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Columns by feature and threshold.
type Places = HashMap<(usize, u32), usize>;

/// A branch in the list of all.
struct Branch {
    tree: usize,
    level: usize,
    question: Question,
    yes: Next,
    no: Next,
}

/// Where a branch leads to.
enum Next {
    Branch(usize),
    /// What each target gains here over the tree's last leaf.
    Leaf(Vec<f64>),
}

impl Next {
    /// Whether it is of no use to know that an observation came here.
    fn is_idle(&self) -> bool {
        matches!(self, Self::Leaf(gain) if gain.iter().all(|gain| *gain == 0.0))
    }
}

/// A leaf, and its column among those that tell where the observation came by.
struct Leaf {
    tree: usize,
    gain: Vec<f64>,
    column: usize,
}

pub(super) struct Lowering<'a, 'b> {
    rewriter: &'a mut Rewriter<'b>,
    /// Floats, an observation a row.
    value: String,
    rows: usize,
    branches: Vec<Branch>,
    levels: Vec<Vec<usize>>,
    leaves: Vec<Leaf>,
}

impl<'a, 'b> Lowering<'a, 'b> {
    /// The ensemble's answers before base values: floats, an observation a row, a target a column.
    pub(super) fn answers(
        rewriter: &'a mut Rewriter<'b>,
        value: String,
        rows: usize,
        ensemble: &Ensemble,
    ) -> String {
        let (branches, levels, leaves) = <_>::default();
        let mut lowering = Self { rewriter, value, rows, branches, levels, leaves };
        let mut starts = Vec::new();
        for (number, tree) in ensemble.trees.iter().enumerate() {
            let start = last(tree);
            lowering.list(number, 0, tree, &start);
            starts.push(start);
        }
        let came = lowering.came();
        lowering.finish(ensemble, &starts, came.as_deref())
    }

    /// Lists a tree's branches.
    fn list(&mut self, tree: usize, level: usize, part: &Tree, start: &[f64]) -> Next {
        let branch = match part {
            Tree::Leaf(weights) => {
                let gain = weights.iter().zip(start);
                let gain = gain.map(|(weight, start)| weight.unwrap_or_default() - start);
                return Next::Leaf(gain.collect());
            }
            Tree::Branch(branch) => branch,
        };
        let place = self.branches.len();
        let question = branch.question.clone();
        let idle = || Next::Leaf(Vec::new());
        self.branches.push(Branch { tree, level, question, yes: idle(), no: idle() });
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        self.levels[level].push(place);
        let yes = self.list(tree, level + 1, &branch.yes, start);
        let no = self.list(tree, level + 1, &branch.no, start);
        let entry = &mut self.branches[place];
        (entry.yes, entry.no) = (yes, no);
        Next::Branch(place)
    }

    /// Where the observation came by: floats that are 0 or 1, an observation a row; finds the leaves' columns. `None`
    /// where there is no branch.
    fn came(&mut self) -> Option<String> {
        let levels = self.branches.iter().map(|it| ((it.tree, it.level), &it.question));
        let chosen = plan::chosen(levels);
        let questions: BTreeSet<Question> = self
            .branches
            .iter()
            .filter(|branch| !chosen.contains(&(branch.tree, branch.level)))
            .map(|branch| branch.question.clone())
            .collect();
        let questions: Vec<_> = questions.into_iter().collect();
        let compared = (!questions.is_empty()).then(|| self.compare(&questions));
        let asked: HashMap<&Question, usize> =
            questions.iter().enumerate().map(|(place, question)| (question, place)).collect();
        let differences = self.differences(&chosen);
        let mut all: Vec<String> = Vec::new();
        let mut width = 0;
        // 1 for each branch of this level that the observation comes by; on the first level it is always 1 and left
        // out.
        let mut reached: Option<String> = None;
        for level in 0..self.levels.len() {
            let here = self.levels[level].clone();
            let mut parts: Vec<String> = compared.iter().cloned().collect();
            let mut places: HashMap<usize, usize> = HashMap::new();
            if let (Some(reached), Some((differences, place))) = (&reached, &differences) {
                let (bits, found) =
                    self.select(reached, &here, &chosen, differences, place, questions.len());
                parts.extend(bits);
                places = found;
            }
            let bits = self.joined(&parts);
            let order: Vec<_> = here
                .iter()
                .map(|branch| {
                    let branch = &self.branches[*branch];
                    let known = asked.get(&branch.question).copied();
                    places.get(&branch.tree).copied().or(known).unwrap_or_default()
                })
                .collect();
            let bits = self.columns(&bits, &order);
            let taken = match &reached {
                Some(reached) => self.rewriter.node("Mul", &[reached, &bits], []),
                None => bits,
            };
            let left: Vec<usize> = (0..here.len())
                .filter(|column| !self.branches[here[*column]].no.is_idle())
                .collect();
            let mut came = taken.clone();
            if !left.is_empty() {
                let reached = match &reached {
                    Some(reached) => self.columns(reached, &left),
                    None => self.rewriter.integers(&[1]),
                };
                let taken = self.columns(&taken, &left);
                let left = self.rewriter.node("Sub", &[&reached, &taken], []);
                came = self.joined(&[came, left]);
            }
            let next = self.places(&here, &left, width);
            width += here.len() + left.len();
            let order = self
                .levels
                .get(level + 1)
                .map(|level| level.iter().map(|branch| next[branch]).collect::<Vec<_>>());
            reached = order.map(|order| self.columns(&came, &order));
            all.push(came);
        }
        let all = (!all.is_empty()).then(|| self.joined(&all))?;
        Some(self.rewriter.cast(&all, element::FLOAT))
    }

    /// The columns of the branches that these lead to: first stand those that go on to `yes`, then those that are
    /// `left`. Leaves are listed with their columns, counted on from `before`.
    fn places(&mut self, here: &[usize], left: &[usize], before: usize) -> HashMap<usize, usize> {
        let mut places = HashMap::new();
        let mut rest = left.iter().zip(here.len()..).peekable();
        for (column, branch) in here.iter().enumerate() {
            let branch = &self.branches[*branch];
            let no = rest.next_if(|(place, _)| **place == column).map(|(_, column)| column);
            for (next, column) in [(&branch.yes, Some(column)), (&branch.no, no)] {
                let Some(column) = column.filter(|_| !next.is_idle()) else { continue };
                match next {
                    Next::Branch(place) => {
                        places.insert(*place, column);
                    }
                    Next::Leaf(gain) => {
                        let (tree, gain) = (branch.tree, gain.clone());
                        self.leaves.push(Leaf { tree, gain, column: before + column });
                    }
                }
            }
        }
        places
    }

    /// Compares once for all: whole numbers that are 0 or 1, a question a column.
    fn compare(&mut self, questions: &[Question]) -> String {
        let mut parts = Vec::new();
        let mut order = vec![0; questions.len()];
        let mut width = 0;
        for wanted in [Ask::More, Ask::Less] {
            let mut pairs = Vec::new();
            for (place, question) in questions.iter().enumerate() {
                if let Question::Compare { ask, feature, threshold } = question
                    && *ask == wanted
                {
                    order[place] = width + pairs.len();
                    pairs.push((*feature, *threshold));
                }
            }
            if !pairs.is_empty() {
                parts.push(self.bits(wanted, &pairs));
                width += pairs.len();
            }
        }
        let mut pairs = Vec::new();
        let mut spans = Vec::new();
        for (place, question) in questions.iter().enumerate() {
            if let Question::Among { feature, members } = question {
                spans.push((place, pairs.len()..pairs.len() + members.len()));
                pairs.extend(members.iter().map(|member| (*feature, *member)));
            }
        }
        if !pairs.is_empty() {
            // Equal is neither less nor more: ezkl's own Equal gives a number of another scale.
            let (less, more) = (self.bits(Ask::Less, &pairs), self.bits(Ask::More, &pairs));
            let one = self.rewriter.integers(&[1]);
            let rest = self.rewriter.node("Sub", &[&one, &less], []);
            let equal = self.rewriter.node("Sub", &[&rest, &more], []);
            for (place, span) in spans {
                let members = self.columns(&equal, &span.clone().collect::<Vec<_>>());
                parts.push(match span.len() {
                    1 => members,
                    _ => self.rewriter.reduce("ReduceSum", &members, &[1], true),
                });
                order[place] = width;
                width += 1;
            }
        }
        let all = self.joined(&parts);
        self.columns(&all, &order)
    }

    fn bits(&mut self, ask: Ask, pairs: &[(usize, u32)]) -> String {
        let (features, thresholds) = self.sides(pairs);
        self.whole(ask, &features, &thresholds)
    }

    /// Features and thresholds, one beside the other.
    fn sides(&mut self, pairs: &[(usize, u32)]) -> (String, String) {
        let features: Vec<_> = pairs.iter().map(|(feature, _)| *feature).collect();
        let thresholds: Vec<_> = pairs.iter().map(|(_, bits)| f32::from_bits(*bits)).collect();
        let value = self.value.clone();
        (self.columns(&value, &features), self.rewriter.floats(&[1, pairs.len()], &thresholds))
    }

    fn whole(&mut self, ask: Ask, value: &str, threshold: &str) -> String {
        let operator = if ask == Ask::More { "Greater" } else { "Less" };
        let answer = self.rewriter.node(operator, &[value, threshold], []);
        self.rewriter.cast(&answer, element::INT64)
    }

    /// By how much features pass the thresholds that chosen levels ask for, and each question's column.
    fn differences(&mut self, chosen: &BTreeSet<(usize, usize)>) -> Option<(String, Places)> {
        let pairs: BTreeSet<(usize, u32)> = self
            .branches
            .iter()
            .filter(|branch| chosen.contains(&(branch.tree, branch.level)))
            .filter_map(|branch| pair(&branch.question))
            .collect();
        let pairs: Vec<_> = pairs.into_iter().collect();
        if pairs.is_empty() {
            return None;
        }
        let (features, thresholds) = self.sides(&pairs);
        let all = self.rewriter.node("Sub", &[&features, &thresholds], []);
        Some((all, pairs.into_iter().enumerate().map(|(place, pair)| (pair, place)).collect()))
    }

    /// One comparison for each tree whose level is chosen: of the difference that the branch asks for by which the
    /// observation comes. Returns whole numbers, a tree a column, and the columns, counted on from `before`.
    fn select(
        &mut self,
        reached: &str,
        here: &[usize],
        chosen: &BTreeSet<(usize, usize)>,
        differences: &str,
        place: &Places,
        before: usize,
    ) -> (Vec<String>, HashMap<usize, usize>) {
        // Trees with as many branches on this level are one batch of products.
        let mut trees: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (column, branch) in here.iter().enumerate() {
            let Branch { tree, level, question, .. } = &self.branches[*branch];
            if let (true, Some(pair)) = (chosen.contains(&(*tree, *level)), pair(question)) {
                trees.entry(*tree).or_default().push((column, place[&pair]));
            }
        }
        let ask = |tree: &usize| {
            let mut branches = here.iter().map(|branch| &self.branches[*branch]);
            match branches.find(|branch| branch.tree == *tree).map(|branch| &branch.question) {
                Some(Question::Compare { ask, .. }) => *ask,
                _ => Ask::More,
            }
        };
        let mut batches: BTreeMap<(Ask, usize), Vec<usize>> = BTreeMap::new();
        for (tree, columns) in &trees {
            batches.entry((ask(tree), columns.len())).or_default().push(*tree);
        }
        let (mut bits, mut found) = (Vec::new(), HashMap::new());
        for wanted in [Ask::More, Ask::Less] {
            let mut sums = Vec::new();
            for ((ask, size), batch) in &batches {
                if *ask != wanted {
                    continue;
                }
                let pairs: Vec<_> = batch.iter().flat_map(|tree| &trees[tree]).collect();
                let active: Vec<_> = pairs.iter().map(|(column, _)| *column).collect();
                let asked: Vec<_> = pairs.iter().map(|(_, place)| *place).collect();
                let count = self.rows * batch.len();
                let active = self.columns(reached, &active);
                let active = self.rewriter.cast(&active, element::FLOAT);
                let active = self.rewriter.reshape(&active, &[count, 1, *size]);
                let asked = self.columns(differences, &asked);
                let asked = self.rewriter.reshape(&asked, &[count, *size, 1]);
                let sum = self.rewriter.node("MatMul", &[&active, &asked], []);
                sums.push(self.rewriter.reshape(&sum, &[self.rows, batch.len()]));
                for tree in batch {
                    let next = before + found.len();
                    found.insert(*tree, next);
                }
            }
            if !sums.is_empty() {
                let sums = self.joined(&sums);
                let zero = self.rewriter.floats(&[1, 1], &[0.0]);
                bits.push(self.whole(wanted, &sums, &zero));
            }
        }
        (bits, found)
    }

    /// The trees' answers from the leaves that the observation came to.
    fn finish(mut self, ensemble: &Ensemble, starts: &[Vec<f64>], came: Option<&str>) -> String {
        let targets = ensemble.targets;
        match ensemble.aggregate {
            Aggregate::Sum | Aggregate::Average => {
                let share = match ensemble.aggregate {
                    Aggregate::Average => 1.0 / starts.len().max(1) as f64,
                    _ => 1.0,
                };
                let all: Vec<_> = (0..self.leaves.len()).collect();
                let start: Vec<f64> = (0..targets)
                    .map(|target| starts.iter().map(|start| start[target]).sum::<f64>() * share)
                    .collect();
                self.sum(came, &all, &start, share)
            }
            Aggregate::Least | Aggregate::Most => {
                let mut answers = Vec::new();
                for (tree, start) in starts.iter().enumerate() {
                    let own: Vec<_> = (0..self.leaves.len())
                        .filter(|leaf| self.leaves[*leaf].tree == tree)
                        .collect();
                    let answer = self.sum(came, &own, start, 1.0);
                    answers.push(self.rewriter.reshape(&answer, &[self.rows, 1, targets]));
                }
                let all = self.joined(&answers);
                let operator = match ensemble.aggregate {
                    Aggregate::Least => "ReduceMin",
                    _ => "ReduceMax",
                };
                match answers.len() {
                    1 => self.rewriter.reshape(&all, &[self.rows, targets]),
                    _ => self.rewriter.reduce(operator, &all, &[1], false),
                }
            }
        }
    }

    /// `start` and what those of these leaves add to it that the observation came to.
    fn sum(&mut self, came: Option<&str>, leaves: &[usize], start: &[f64], share: f64) -> String {
        let floats: Vec<f32> = start.iter().map(|value| *value as f32).collect();
        let start = self.rewriter.floats(&[1, start.len()], &floats);
        let Some(came) = came.filter(|_| !leaves.is_empty()) else {
            let rows = self.rewriter.integers(&[self.rows as i64, floats.len() as i64]);
            return self.rewriter.node("Expand", &[&start, &rows], []);
        };
        // A column a target: trees often speak of one alone, and a product with 0 takes a row as any other.
        let targets: Vec<usize> = (0..floats.len()).collect();
        let speaking = |group: &[usize]| -> Vec<usize> {
            let speaks =
                |leaf: &usize| group.iter().any(|target| self.leaves[*leaf].gain[*target] != 0.0);
            leaves.iter().copied().filter(speaks).collect()
        };
        let used: usize = targets.iter().map(|target| speaking(&[*target]).len()).sum();
        let groups: Vec<Vec<usize>> = match used * 4 < leaves.len() * targets.len() * 3 {
            true => targets.into_iter().map(|target| vec![target]).collect(),
            false => vec![targets],
        };
        let groups: Vec<_> =
            groups.into_iter().map(|group| (speaking(&group), group.len(), group)).collect();
        let mut sums: Vec<String> = Vec::new();
        for (own, width, group) in groups {
            if own.is_empty() {
                let zeros = vec![0.0; self.rows * width];
                sums.push(self.rewriter.floats(&[self.rows, width], &zeros));
                continue;
            }
            let gains = own.iter().flat_map(|leaf| group.iter().map(move |it| (*leaf, *it)));
            let gains: Vec<f32> =
                gains.map(|(leaf, it)| (self.leaves[leaf].gain[it] * share) as f32).collect();
            let order: Vec<_> = own.iter().map(|leaf| self.leaves[*leaf].column).collect();
            let came = self.columns(came, &order);
            let gains = self.rewriter.floats(&[own.len(), width], &gains);
            sums.push(self.rewriter.node("MatMul", &[&came, &gains], []));
        }
        let sums = self.joined(&sums);
        if floats.iter().all(|value| *value == 0.0) {
            return sums;
        }
        self.rewriter.node("Add", &[&sums, &start], [])
    }

    fn columns(&mut self, value: &str, places: &[usize]) -> String {
        let places: Vec<_> = places.iter().map(|place| *place as i64).collect();
        self.rewriter.gather(value, &places, 1)
    }

    fn joined(&mut self, parts: &[String]) -> String {
        match parts {
            [one] => one.clone(),
            parts => {
                let parts: Vec<_> = parts.iter().map(String::as_str).collect();
                self.rewriter.concat(&parts, 1)
            }
        }
    }
}

fn pair(question: &Question) -> Option<(usize, u32)> {
    match question {
        Question::Compare { feature, threshold, .. } => Some((*feature, *threshold)),
        Question::Among { .. } => None,
    }
}

/// What a tree answers where all its questions are answered with no.
fn last(tree: &Tree) -> Vec<f64> {
    match tree {
        Tree::Leaf(weights) => weights.iter().map(|it| it.unwrap_or_default()).collect(),
        Tree::Branch(branch) => last(&branch.no),
    }
}
