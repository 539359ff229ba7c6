//! What has become of a model's operators, for its owner.

use crate::onnx::proto::GraphProto;
use std::collections::{BTreeMap, HashSet};

/// What became of nodes, in the order of the changes.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<Change>);

#[derive(Debug)]
struct Change {
    words: String,
    /// What the names of the new values begin with.
    prefix: String,
    /// The value that was made anew, and what else it has come to be called.
    names: Vec<String>,
}

impl Told {
    /// Says something of new values whose names begin with `prefix`, in the place of those that are named.
    pub(super) fn say(&mut self, words: String, prefix: String, names: Vec<String>) {
        if !words.is_empty() {
            self.0.push(Change { words, prefix, names });
        }
    }

    /// A value has got another's name.
    pub(super) fn renamed(&mut self, from: &str, to: &str) {
        for change in &mut self.0 {
            if from.strip_prefix(&change.prefix).is_some_and(|rest| rest.starts_with('/')) {
                change.names.push(to.to_owned());
            }
        }
    }

    /// In words what has become of operators of which something is left, each once with how often.
    pub(super) fn words(&self, graph: &GraphProto) -> Vec<String> {
        let made = graph.node.iter().flat_map(|node| &node.output);
        let mut left: HashSet<&str> = HashSet::new();
        for name in made.chain(graph.initializer.iter().map(|tensor| &tensor.name)) {
            left.insert(name);
            left.extend(name.match_indices('/').map(|(place, _)| &name[..place]));
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for change in &self.0 {
            let names = change.names.iter().chain([&change.prefix]);
            if names.into_iter().any(|name| left.contains(name.as_str())) {
                *counts.entry(&change.words).or_default() += 1;
            }
        }
        let times = |count| if count == 1 { String::new() } else { format!(" ({count} times)") };
        counts.into_iter().map(|(words, count)| format!("{words}{}", times(count))).collect()
    }
}
