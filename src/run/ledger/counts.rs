//! What media count for: the sums of a run follow its verdicts, also back.

use super::rows::Share;
use super::state::Ledger;
use crate::model::MediaState;
use crate::run::table::MediaIndex;

impl Ledger {
    /// Counts a media anew, after something about it changed.
    pub(super) fn recount(&mut self, media: MediaIndex) {
        let is = self.share(media);
        let was = std::mem::replace(&mut self.media[media].share, is);
        let count = |sum: &mut u64, was: u32, is: u32| *sum = *sum + u64::from(is) - u64::from(was);
        count(&mut self.progress.complete, was.complete, is.complete);
        count(&mut self.progress.failed, was.failed, is.failed);
        count(&mut self.progress.failed_unaccepted, was.failed_unaccepted, is.failed_unaccepted);
        count(&mut self.open_media, was.open, is.open);
        count(&mut self.unconfirmed, was.unconfirmed, is.unconfirmed);
        if let Some(refresh) = self.media[media].refresh {
            self.recount(refresh);
        }
    }

    fn share(&self, media: MediaIndex) -> Share {
        let entry = &self.media[media];
        let (complete, failed) = match self.joint_state(media) {
            _ if entry.urls > 0 => self.ended_urls(media),
            // It counts with its refresh.
            _ if entry.refresh.is_some() => (0, 0),
            MediaState::Unfinished => (0, 0),
            MediaState::Complete => (1, 0),
            _ => (0, 1),
        };
        let is_accepted = self.media[entry.preload.unwrap_or(media)].accepted;
        Share {
            complete,
            failed,
            failed_unaccepted: if is_accepted { 0 } else { failed },
            open: u32::from(!entry.ended()),
            unconfirmed: u32::from(!entry.is_confirmed()),
        }
    }
}
