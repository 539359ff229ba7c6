//! Bearer tokens of the service's clients. Only their hashes are kept.

use super::{Error, Result, Store, changed, rows};
use crate::files;
use alloy::primitives::hex;
use rand::RngCore;
use serde::Serialize;

/// A token that was just made. Its text is shown once and never again.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What it is called.
    pub name: String,
    /// What the client sends: `Authorization: Bearer …`.
    pub secret: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A token as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// What it is called; its jobs are of this owner.
    pub name: String,
    /// Predictions that it may have in 24 hours; without one as many as it likes.
    pub quota: Option<u64>,
    /// Whether it may see and change the jobs of all, and not only its own.
    pub operator: bool,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// When it was revoked.
    pub revoked: Option<i64>,
}

/// The secret has 256 random bits, so that a plain hash can't be undone by trying.
fn hash(secret: &str) -> String {
    files::sha256(secret.as_bytes()).to_string()
}

impl Store {
    /// Makes a token.
    ///
    /// # Errors
    /// There is one of that name.
    pub async fn add_token(
        &self,
        name: &str,
        quota: Option<u64>,
        operator: bool,
    ) -> Result<NewToken> {
        let mut bytes = [0; 32];
        rand::thread_rng().fill_bytes(&mut bytes);
        let secret = format!("zkv_{}", hex::encode(bytes));
        let add = "INSERT INTO tokens (name, hash, quota, operator, created) VALUES ($1, $2, $3, $4, {now}) \
                   ON CONFLICT (name) DO UPDATE SET hash = $2, quota = $3, operator = $4, created = {now}, \
                   revoked = NULL WHERE tokens.revoked IS NOT NULL";
        let done = sqlx::query(self.sql(add))
            .bind(name)
            .bind(hash(&secret))
            .bind(quota.map(|quota| i64::try_from(quota).unwrap_or(i64::MAX)))
            .bind(i64::from(operator))
            .execute(&self.pool)
            .await
            .map_err(self.failed("make a token"))?;
        match changed(&done) {
            true => Ok(NewToken { name: name.to_owned(), secret }),
            false => Err(Error::TokenExists(name.to_owned())),
        }
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn revoke_token(&self, name: &str) -> Result<()> {
        let revoke = "UPDATE tokens SET revoked = {now} WHERE name = $1 AND revoked IS NULL";
        let done = sqlx::query(self.sql(revoke)).bind(name).execute(&self.pool).await;
        let done = done.map_err(self.failed("revoke a token"))?;
        if changed(&done) { Ok(()) } else { Err(Error::NoToken(name.to_owned())) }
    }

    /// All tokens.
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        let failed = self.failed("list tokens");
        let list = "SELECT name, quota, operator, created, revoked FROM tokens ORDER BY name";
        let listed = sqlx::query(list).fetch_all(&self.pool).await.map_err(&failed)?;
        listed.iter().map(token).collect::<Result<_, _>>().map_err(failed)
    }

    /// The token with this secret, unless it was revoked.
    pub async fn token(&self, secret: &str) -> Result<Option<Token>> {
        let failed = self.failed("look up a token");
        let find = "SELECT name, quota, operator, created, revoked FROM tokens WHERE hash = $1 AND revoked IS NULL";
        let row = sqlx::query(find).bind(hash(secret)).fetch_optional(&self.pool).await;
        row.map_err(&failed)?.map(|row| token(&row)).transpose().map_err(failed)
    }
}

fn token(row: &sqlx::any::AnyRow) -> Result<Token, sqlx::Error> {
    Ok(Token {
        name: rows::get(row, "name")?,
        quota: rows::maybe_count(row, "quota")?,
        operator: rows::get::<i64>(row, "operator")? != 0,
        created: rows::get(row, "created")?,
        revoked: rows::get(row, "revoked")?,
    })
}
