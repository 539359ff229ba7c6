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
//! answer is one sum of products of them with the differences between the leaves' weights.

use super::{
    super::super::rewriter::Rewriter,
    ensemble::{Aggregate, Ask, Ensemble, Question, Tree},
};
use crate::onnx::tensor::element;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows of a comparison beside one of a product, measured with two legs.
const COMPARISON: f64 = 24.0;

/// A branch in the list of all.
struct Branch {
    tree: usize,
    level: usize,
    question: Question,
    /// The branches that it leads to, where it leads to any.
    yes: Option<usize>,
    no: Option<usize>,
    /// What each target gains by `yes` over `no`.
    gain: Vec<f64>,
}

/// Rows of the observations, and the ensemble's branches by level.
pub(super) struct Lowering<'a, 'b> {
    rewriter: &'a mut Rewriter<'b>,
    /// Floats, an observation a row.
    value: String,
    rows: usize,
    branches: Vec<Branch>,
    levels: Vec<Vec<usize>>,
}

impl<'a, 'b> Lowering<'a, 'b> {
    /// The ensemble's answers before base values: floats, an observation a row, a target a column.
    pub(super) fn answers(
        rewriter: &'a mut Rewriter<'b>,
        value: String,
        rows: usize,
        ensemble: &Ensemble,
    ) -> String {
        let mut lowering = Self { rewriter, value, rows, branches: Vec::new(), levels: Vec::new() };
        let starts: Vec<Vec<f64>> = ensemble
            .trees
            .iter()
            .enumerate()
            .map(|(number, tree)| lowering.list(number, 0, tree, ensemble.targets).1)
            .collect();
        let taken = lowering.taken();
        lowering.finish(ensemble, &starts, taken)
    }

    /// Lists a tree's branches. Returns the first one's place, and what the tree answers where all are `no`.
    fn list(
        &mut self,
        tree: usize,
        level: usize,
        part: &Tree,
        targets: usize,
    ) -> (Option<usize>, Vec<f64>) {
        match part {
            Tree::Leaf(weights) => {
                (None, weights.iter().map(|weight| weight.unwrap_or_default()).collect())
            }
            Tree::Branch(branch) => {
                let place = self.branches.len();
                let question = branch.question.clone();
                let gain = vec![0.0; targets];
                self.branches.push(Branch { tree, level, question, yes: None, no: None, gain });
                if self.levels.len() <= level {
                    self.levels.resize_with(level + 1, Vec::new);
                }
                self.levels[level].push(place);
                let (yes, taken) = self.list(tree, level + 1, &branch.yes, targets);
                let (no, left) = self.list(tree, level + 1, &branch.no, targets);
                let gain = taken.iter().zip(&left).map(|(taken, left)| taken - left).collect();
                let entry = &mut self.branches[place];
                (entry.yes, entry.no, entry.gain) = (yes, no, gain);
                (Some(place), left)
            }
        }
    }

    /// For each branch whether the observation goes by it to `yes`: floats that are 0 or 1, an observation a row, and
    /// the branch's column. `None` where there is no branch.
    fn taken(&mut self) -> Option<(String, Vec<usize>)> {
        let chosen = self.chosen();
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
        let mut columns = vec![0; self.branches.len()];
        let mut all: Vec<String> = Vec::new();
        let mut width = 0;
        // The branches of this level in the order of `reached`, which is 1 where the observation comes by; on the
        // first level it is always 1 and left out.
        let mut reached: Option<String> = None;
        for level in 0..self.levels.len() {
            let here = self.levels[level].clone();
            let mut parts: Vec<String> = compared.iter().cloned().collect();
            let mut places: HashMap<usize, usize> = HashMap::new();
            if let (Some(reached), Some((differences, place))) = (&reached, &differences) {
                let reached = reached.clone();
                let (bits, found) =
                    self.select(&reached, &here, &chosen, differences, place, questions.len());
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
            for (place, branch) in here.iter().enumerate() {
                columns[*branch] = width + place;
            }
            width += here.len();
            reached = self.next(&here, &taken, reached.as_deref(), level);
            all.push(taken);
        }
        let all = (!all.is_empty()).then(|| self.joined(&all))?;
        Some((self.rewriter.cast(&all, element::FLOAT), columns))
    }

    /// The levels of trees that one comparison decides, in place of one for each question.
    fn chosen(&self) -> BTreeSet<(usize, usize)> {
        let mut groups: BTreeMap<(usize, usize), Vec<&Question>> = BTreeMap::new();
        for branch in &self.branches {
            groups.entry((branch.tree, branch.level)).or_default().push(&branch.question);
        }
        let can = |questions: &[&Question]| {
            let ask = |question: &Question| match question {
                Question::Compare { ask, .. } => Some(*ask),
                Question::Among { .. } => None,
            };
            let first = ask(questions[0]);
            questions.len() > 1 && first.is_some() && questions.iter().all(|it| ask(it) == first)
        };
        let can: BTreeMap<_, _> =
            groups.iter().map(|(group, questions)| (*group, can(questions))).collect();
        let mut chosen: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut best = (self.cost(&groups, &chosen), chosen.clone());
        // Starts from one comparison a level wherever that can be, and goes back where a question is asked anyhow.
        chosen.extend(groups.keys().filter(|group| can[group]));
        for _ in 0..4 {
            let mut uses: HashMap<&Question, usize> = HashMap::new();
            for (group, questions) in &groups {
                let direct = !chosen.contains(group);
                for question in questions {
                    *uses.entry(*question).or_default() += usize::from(direct);
                }
            }
            let cost = self.cost(&groups, &chosen);
            if cost < best.0 {
                best = (cost, chosen.clone());
            }
            chosen = groups
                .iter()
                .filter(|(group, questions)| {
                    let others = usize::from(chosen.contains(*group));
                    let direct: f64 =
                        questions.iter().map(|it| COMPARISON / (uses[it] + others) as f64).sum();
                    can[*group] && direct > COMPARISON + 2.0 * questions.len() as f64
                })
                .map(|(group, _)| *group)
                .collect();
        }
        best.1
    }

    fn cost(
        &self,
        groups: &BTreeMap<(usize, usize), Vec<&Question>>,
        chosen: &BTreeSet<(usize, usize)>,
    ) -> f64 {
        let (mut asked, mut differences, mut cost) = (BTreeSet::new(), BTreeSet::new(), 0.0);
        for (group, questions) in groups {
            if chosen.contains(group) {
                differences.extend(questions.iter().copied());
                cost += COMPARISON + questions.len() as f64;
            } else {
                asked.extend(questions.iter().copied());
            }
        }
        cost + COMPARISON * asked.len() as f64 + differences.len() as f64
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
    fn differences(
        &mut self,
        chosen: &BTreeSet<(usize, usize)>,
    ) -> Option<(String, HashMap<(usize, u32), usize>)> {
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
        place: &HashMap<(usize, u32), usize>,
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

    /// Which branches of the next level the observation comes by; `None` where there is none.
    fn next(
        &mut self,
        here: &[usize],
        taken: &str,
        reached: Option<&str>,
        level: usize,
    ) -> Option<String> {
        let next = self.levels.get(level + 1)?.clone();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut left = Vec::new();
        for (column, branch) in here.iter().enumerate() {
            if let Some(yes) = self.branches[*branch].yes {
                places.insert(yes, column);
            }
            if let Some(no) = self.branches[*branch].no {
                places.insert(no, here.len() + left.len());
                left.push(column);
            }
        }
        let mut parts = vec![taken.to_owned()];
        if !left.is_empty() {
            let all = match reached {
                Some(reached) => self.columns(reached, &left),
                None => self.rewriter.integers(&[1]),
            };
            let taken = self.columns(taken, &left);
            parts.push(self.rewriter.node("Sub", &[&all, &taken], []));
        }
        let all = self.joined(&parts);
        let order: Vec<_> = next.iter().map(|branch| places[branch]).collect();
        Some(self.columns(&all, &order))
    }

    /// The trees' answers from the branches that were taken.
    fn finish(
        mut self,
        ensemble: &Ensemble,
        starts: &[Vec<f64>],
        taken: Option<(String, Vec<usize>)>,
    ) -> String {
        let targets = ensemble.targets;
        match ensemble.aggregate {
            Aggregate::Sum | Aggregate::Average => {
                let share = match ensemble.aggregate {
                    Aggregate::Average => 1.0 / starts.len().max(1) as f64,
                    _ => 1.0,
                };
                let all: Vec<_> = (0..self.branches.len()).collect();
                let start: Vec<f64> = (0..targets)
                    .map(|target| starts.iter().map(|start| start[target]).sum::<f64>() * share)
                    .collect();
                self.sum(taken.as_ref(), &all, &start, share)
            }
            Aggregate::Least | Aggregate::Most => {
                let mut answers = Vec::new();
                for (tree, start) in starts.iter().enumerate() {
                    let own: Vec<_> = (0..self.branches.len())
                        .filter(|branch| self.branches[*branch].tree == tree)
                        .collect();
                    let answer = self.sum(taken.as_ref(), &own, start, 1.0);
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

    /// `start` and what the taken ones of these branches add to it.
    fn sum(
        &mut self,
        taken: Option<&(String, Vec<usize>)>,
        branches: &[usize],
        start: &[f64],
        share: f64,
    ) -> String {
        let floats: Vec<f32> = start.iter().map(|value| *value as f32).collect();
        let start = self.rewriter.floats(&[1, start.len()], &floats);
        let Some((taken, columns)) = taken.filter(|_| !branches.is_empty()) else {
            let rows = self.rewriter.integers(&[self.rows as i64, floats.len() as i64]);
            return self.rewriter.node("Expand", &[&start, &rows], []);
        };
        // A column a target: trees often speak of one alone, and a product with 0 takes a row as any other.
        let mut sums: Vec<String> = Vec::new();
        let targets: Vec<usize> = (0..floats.len()).collect();
        let speaks = |branch: &usize, target: usize| self.branches[*branch].gain[target] != 0.0;
        let used: usize = targets
            .iter()
            .map(|target| branches.iter().filter(|branch| speaks(branch, *target)).count())
            .sum();
        let groups: Vec<Vec<usize>> = match used * 4 < branches.len() * targets.len() * 3 {
            true => targets.into_iter().map(|target| vec![target]).collect(),
            false => vec![targets],
        };
        for group in groups {
            let own: Vec<usize> = branches
                .iter()
                .copied()
                .filter(|branch| {
                    group.iter().any(|target| self.branches[*branch].gain[*target] != 0.0)
                })
                .collect();
            let weights: Vec<f32> = own
                .iter()
                .flat_map(|branch| group.iter().map(move |target| (*branch, *target)))
                .map(|(branch, target)| (self.branches[branch].gain[target] * share) as f32)
                .collect();
            if own.is_empty() {
                let zeros = vec![0.0; self.rows * group.len()];
                sums.push(self.rewriter.floats(&[self.rows, group.len()], &zeros));
                continue;
            }
            let order: Vec<_> = own.iter().map(|branch| columns[*branch]).collect();
            let taken = self.columns(taken, &order);
            let weights = self.rewriter.floats(&[own.len(), group.len()], &weights);
            sums.push(self.rewriter.node("MatMul", &[&taken, &weights], []));
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
