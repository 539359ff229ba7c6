//! A fleet of real processes, and what befalls it: each job ends done or dead with a reason, and nothing is done
//! or recorded twice. On SQLite and on PostgreSQL.
#![cfg(all(feature = "fleet", unix))]
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::print_stdout,
    reason = "the modules of a test, which says what it did"
)]

mod chain;
mod faults;
#[path = "../support/postgres.rs"]
mod postgres;
mod proxy;
mod service;
mod site;
mod soak;
#[path = "../support/mod.rs"]
mod support;

/// Each test on both databases.
#[macro_export]
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::site::Site::sqlite().await).await })*
        }
        mod postgresql {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name($crate::site::Site::postgres().await).await })*
        }
    };
}
