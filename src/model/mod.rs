//! The nouns that everything else speaks of: which model, which proof, which values.

pub mod identity;
