//! Media and faults that many tests start from.

use vod_refresh::emulator::{EventScript, Fault, MediaScript, Which};

/// A media whose tasks stay open until the test completes them.
pub(crate) fn open_media() -> MediaScript {
    MediaScript { never_complete: Which::All(true), ..MediaScript::default() }
}

/// A media whose tasks all fail.
pub(crate) fn failing_media() -> MediaScript {
    MediaScript { failed_tasks: Which::All(true), ..MediaScript::default() }
}

/// An event that is never sent.
pub(crate) fn lost_event() -> EventScript {
    EventScript { lost: true, ..EventScript::default() }
}

pub(crate) fn throttle(status: u16, code: &str) -> Fault {
    Fault::Throttle { code: code.into(), status, retry_after_ms: None, retry_after_s: None }
}
