//! Which comparisons are worth their rows.

use super::ensemble::Question;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows of a comparison beside one of a product, measured with two legs.
const COMPARISON: f64 = 24.0;

/// A tree and one of its levels.
type Level = (usize, usize);

/// The levels of trees that one comparison decides, in place of one for each question.
pub(super) fn chosen<'a>(branches: impl Iterator<Item = (Level, &'a Question)>) -> BTreeSet<Level> {
    let mut groups: BTreeMap<Level, Vec<&Question>> = BTreeMap::new();
    for (level, question) in branches {
        groups.entry(level).or_default().push(question);
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
    let mut chosen: BTreeSet<Level> = BTreeSet::new();
    let mut best = (cost(&groups, &chosen), chosen.clone());
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
        let cost = cost(&groups, &chosen);
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

/// Rows, of which those that are the same in each plan are left out.
fn cost(groups: &BTreeMap<Level, Vec<&Question>>, chosen: &BTreeSet<Level>) -> f64 {
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
