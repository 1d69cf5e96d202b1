//! A statement with its parameters.

use std::borrow::Cow;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

/// One statement, which is one round trip and one transaction. It may be sent twice, where the answer of the first time was lost.
pub(super) struct Query {
    text: Cow<'static, str>,
    parameters: Vec<(Box<dyn ToSql + Send + Sync>, Type)>,
}

/// What may stand for `$1`, `$2` and so on.
pub(super) trait Parameter: ToSql + Send + Sync + 'static {
    const TYPE: Type;
}

impl Parameter for String {
    const TYPE: Type = Type::TEXT;
}

impl Parameter for Option<String> {
    const TYPE: Type = Type::TEXT;
}

impl Parameter for Vec<String> {
    const TYPE: Type = Type::TEXT_ARRAY;
}

impl Parameter for i32 {
    const TYPE: Type = Type::INT4;
}

impl Parameter for i64 {
    const TYPE: Type = Type::INT8;
}

impl Parameter for Vec<i64> {
    const TYPE: Type = Type::INT8_ARRAY;
}

impl Parameter for bool {
    const TYPE: Type = Type::BOOL;
}

impl Query {
    pub(super) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), parameters: Vec::new() }
    }

    /// Adds the next parameter.
    pub(super) fn with<P: Parameter>(mut self, value: P) -> Self {
        self.parameters.push((Box::new(value), P::TYPE));
        self
    }

    /// Adds a text as the next parameter.
    pub(super) fn with_text(self, text: impl ToString) -> Self {
        self.with(text.to_string())
    }

    pub(super) async fn ask(&self, client: &Client) -> Result<Vec<Row>, Error> {
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = Vec::new();
        for (value, kind) in &self.parameters {
            parameters.push((&**value, kind.clone()));
        }
        client.query_typed(&self.text, &parameters).await
    }
}
