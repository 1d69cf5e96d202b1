//! What the journal keeps of a command line, so that `resume` leads to the same service and hears the same events.

use serde::{Deserialize, Serialize};

use crate::args::connection::ConnectionArgs;
use crate::args::events::EventArgs;

/// Connection and event source of a run. No secret: a key stands here only as the path of its file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) connection: ConnectionArgs,
    pub(crate) events: EventArgs,
}

impl Settings {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        // Our own types always have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What a run was begun with; the defaults where a library user wrote something else there.
    pub(crate) fn of(stored: &serde_json::Value) -> Self {
        serde_json::from_value(stored.clone()).unwrap_or_default()
    }
}
