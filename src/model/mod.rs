//! The nouns that everything else speaks of: which model, which proof, which values, whose setup.
//! They import only [`field`](crate::field) and [`files`](crate::files).

pub mod batch;
pub mod identity;
pub mod packing;
pub mod proof;
pub mod provenance;
pub mod schema;
