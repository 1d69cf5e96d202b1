//! Sources of events: events of VOD, decoded, checked and handed to the runs that wait for them.
//!
//! The event `SubmitMediaRefreshComplete` comes once for each media of a job. Despite its name it says that the URLs
//! were handed to the CDN, not that the CDN is done. It may come early, twice, late, for somebody else's job, or never;
//! so everything here only delivers, and the ledger decides. An event goes from the [`EventReceiver`], which checks its
//! signature, through [`decode`] and the [`Inbox`] to the driver and the ledger; from a queue it is the [`QueueConsumer`]
//! instead of the receiver.

mod backoff;
mod body;
mod decode;
mod inbox;
mod listener;
mod queue;
mod receiver;

pub use body::MAX_EVENT_BYTES;
pub use decode::{BadEvent, Correlation, Decoded, EVENT_TYPE, MediaRefreshEvent, Source, decode};
pub use inbox::{Claim, Inbox};
pub use listener::Listener;
pub use queue::{QueueConsumer, QueueListener};
pub use receiver::EventReceiver;

pub(crate) use decode::MOST_TASKS;
pub(crate) use inbox::{InboxMessage, SourceEnd, Subscription};
