//! What a run does without lookups: they are refused, switched off, or fail. Then only events can tell which tasks media have.

use super::named::Certainty;
use super::rows::MediaEntry;
use super::settings::GRACE;
use super::state::Ledger;
use crate::ids::JobId;
use crate::model::{Fault, LookupAfter, Moment, ReportedError};
use crate::run::table::JobIndex;

impl Ledger {
    pub(super) fn lookups_are_refused(&mut self, now: Moment, fault: &Fault) {
        if std::mem::replace(&mut self.lookups_refused, true) {
            return;
        }
        let ReportedError { code, message, .. } = &fault.error;
        self.warn(format!("jobs can't be looked up ({code}: {message}); events alone decide"));
        self.end_all_closing();
        for job in self.jobs.indices() {
            // From now on its events tell whether it changes.
            (self.jobs[job].is_queried, self.jobs[job].changed_at) = (false, now);
            let why = "not confirmed by a lookup: lookups are refused";
            let trusts = |media: &MediaEntry| media.is_silent() || media.has_signed_event();
            self.do_without_lookups(now, job, trusts, why);
            self.wait_for_events(now, job);
        }
    }

    /// Said where one would have helped.
    pub(super) fn why_no_lookups(&self) -> &'static str {
        match self.settings.lookup {
            LookupAfter::Never => "lookups are turned off",
            LookupAfter::After(_) => "lookups are refused",
        }
    }

    /// Takes the events of a job for the truth, since no lookup gets through.
    pub(super) fn lookup_failed(&mut self, now: Moment, id: &JobId, error: &ReportedError) {
        let Some(&job) = self.jobs_by_id.get(id) else { return };
        self.end_closing(job);
        self.jobs[job].is_queried = false;
        self.lookup_queue.cancel(job);
        let ReportedError { code, message, .. } = error;
        let why = format!("not confirmed: lookups fail ({code}: {message})");
        let trusts = |media: &MediaEntry| media.is_silent() && media.has_signed_event();
        self.do_without_lookups(now, job, trusts, &why);
        self.warn(format!("job {id} can't be looked up ({code}: {message}); its events decide"));
    }

    /// Whether events of known senders told of all media of a job which lookups have not named: then it can do without a
    /// lookup. How many media a job of others has is not known.
    pub(crate) fn events_suffice(&self, id: &JobId) -> bool {
        let is_known = |media: &MediaEntry| {
            let is_named = media.named.certainty == Certainty::Named;
            media.is_confirmed() || (is_named || media.is_silent()) && media.has_signed_event()
        };
        let job = self.jobs_by_id.get(id).filter(|job| !self.jobs[**job].is_open());
        job.is_some_and(|job| self.in_job(*job).all(is_known))
    }

    /// No lookup will say better than what is known of a job: what a lookup and an event of a known sender have named is settled, and
    /// what only a trusted event told of is taken as it said. What a single lookup has named may not be all.
    pub(super) fn do_without_lookups(
        &mut self,
        now: Moment,
        job: JobIndex,
        trusts: impl Fn(&MediaEntry) -> bool,
        why: &str,
    ) {
        for media in self.jobs[job].media.clone() {
            let entry = &self.media[media];
            match entry.named.certainty {
                _ if entry.is_confirmed() => {}
                Certainty::Named if entry.has_signed_event() => self.settle(now, media),
                Certainty::Named => {}
                _ if trusts(entry) => self.trust_event(now, media, why),
                _ => {}
            }
        }
    }

    /// Plans the end of a wait where nobody may ask. Of a job of others whose media have all ended, only events of more media could
    /// still come.
    pub(super) fn wait_for_events(&mut self, now: Moment, job: JobIndex) {
        let entry = &self.jobs[job];
        let at = match self.has_ended(job) {
            true => entry.changed_at + self.settings.close,
            false => entry.known_since + GRACE,
        };
        if entry.is_open() || self.is_unconfirmed(job) {
            self.lookup_queue.plan(job, at.max(now));
        }
    }

    /// Nothing is known of a job, and nobody may ask: that proves nothing. Only an event can tell, or the deadline ends the
    /// wait.
    pub(super) fn grace_over(&mut self, id: &JobId) {
        let Some(&job) = self.jobs_by_id.get(id) else { return };
        if self.has_ended(job) {
            return self.close_what_has_ended(job);
        }
        let is_empty = self.jobs[job].media.is_empty();
        let what = match self.in_job(job).filter(|media| !media.is_confirmed()).count() {
            0 if is_empty => format!("job {id}"),
            0 => return,
            media => format!("{media} media of job {id}"),
        };
        let (minutes, why) = (GRACE.as_secs() / 60, self.why_no_lookups());
        self.warn(format!(
            "no event has told of {what} for {minutes} minutes, and {why}: only an event can end this wait"
        ));
    }

    /// Closes a job whose media have all ended. Where it was said how many there are, any job may have the next one until all are
    /// there.
    fn close_what_has_ended(&mut self, job: JobIndex) {
        let Some(expect) = self.expect else { return self.close_job(job) };
        if self.unplaced.is_empty() && self.media.len() >= expect {
            for job in self.jobs.indices() {
                if self.has_ended(job) {
                    self.close_job(job);
                }
            }
        }
    }
}
