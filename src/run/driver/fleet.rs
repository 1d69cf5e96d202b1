//! What runs of one account share through the journal, so that together they ask no more than one of them would: a pace, the
//! pages that one of them has read, and how long tasks take.
//!
//! All of it is a hint that expires within a minute. No run waits for another for longer than seconds, and where the journal
//! can't be reached each goes on alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::shared_page::{Page, Take};
use crate::auth::Credential;
use crate::auth::acs3::hmac_sha256_hex;
use crate::auth::preview::KeyMark;
use crate::error::Result;
use crate::ids::{RunId, TaskId};
use crate::journal::Journal;
use crate::run::polling::{DurationEstimate, Others, SHARED_FOR};
use crate::vod::{TaskFilter, TaskPage, TaskRow, TaskType, VodClient};

/// The journal may take so long; where it takes longer, or fails, it is left alone for a while.
const WAIT: Duration = Duration::from_millis(500);
const LEFT_ALONE_FOR: Duration = Duration::from_secs(5);
/// How often a run that has something to ask looks at what others know.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a page is looked for that another run is reading.
const PAGE_INTERVAL: Duration = Duration::from_millis(150);
/// How often a run says that it is still reading a page.
const CLAIM_INTERVAL: Duration = Duration::from_secs(1);
/// Runs that began within so long list their tasks together, in one time window.
const BEGUN_WITHIN: i64 = 300;
/// Windows begin and end at multiples of so many seconds: clocks differ a little.
const WINDOW_STEP: i64 = 10;

/// How names begin under which runs tell of themselves.
const RUN: &str = "run ";
/// Longest text that is read back.
const MAX_BYTES: usize = 1024 * 1024;

/// What a run tells others of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) run: RunId,
    pub(super) kind: Option<TaskType>,
    /// The time window of its tasks, by the service's clock in seconds since 1970. It has no end as long as more may come.
    pub(super) from: i64,
    pub(super) to: Option<i64>,
    /// Tasks that listings can show, and those of them that are open.
    pub(super) known: u64,
    pub(super) open: u64,
    pub(super) estimate: DurationEstimate,
    /// Of the access key that it signs with, and a task of it: whoever is shown this task has the same account.
    pub(super) key: String,
    pub(super) task: Option<TaskId>,
    /// It waits for nothing more. How long its tasks took is worth knowing all the same.
    #[serde(default)]
    pub(super) has_left: bool,
}

/// A run among others.
pub(super) struct Fleet {
    shared: Arc<Shared>,
    /// When others were last looked at, and whether they were told then how long tasks take.
    looked_at: Option<Instant>,
    has_told_times: bool,
    /// This run and those that list their tasks together with it, as they were at the last look.
    group: Vec<Member>,
    /// The round of listings that is on, and how it is shared.
    round: u32,
    listing: Option<Listing>,
    last_page_at: Duration,
}

/// What calls in the background need to share.
pub(super) struct Shared {
    journal: Journal,
    client: VodClient,
    run: RunId,
    /// Of the access key that this process signs with.
    key: String,
    /// Of that key, and of all others that share; none where each process has a key of its own, as sessions of a role have.
    secret: Option<SecretString>,
    topic: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until when the journal is left alone.
    left_alone_until: Option<Instant>,
    /// The time at the journal, and when it was so.
    time: Option<(Duration, Instant)>,
    /// Other access keys: whether pages that were read with them have shown tasks of ours. Then they are of one account.
    keys: HashMap<String, bool>,
}

/// One round of listings, which is shared.
#[derive(Clone)]
pub(super) struct Listing {
    shared: Arc<Shared>,
    from: i64,
    to: Option<i64>,
    /// Pages that were read before are too old.
    since: Duration,
}

impl Fleet {
    /// Joins the runs of the account that a key is of, as far as the journal knows them.
    ///
    /// Session keys of one account differ, so all of them are taken for one account until pages prove otherwise.
    pub(super) fn join(journal: &Journal, client: &VodClient, run: &RunId, credential: &Credential) -> Self {
        let key = KeyMark::of(&credential.key_id).digest().to_owned();
        let is_session = credential.key_id.starts_with("STS.");
        let topic = format!("{} {}", client.way_to_tasks(), if is_session { "STS" } else { &key });
        let shared = Shared {
            journal: journal.clone(),
            client: client.clone(),
            run: run.clone(),
            key,
            secret: (!is_session).then(|| credential.secret.clone()),
            topic,
            state: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            looked_at: None,
            has_told_times: false,
            group: Vec::new(),
            round: 0,
            listing: None,
            last_page_at: Duration::ZERO,
        }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// When to look at others again.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.looked_at.map(|at| at + LOOK_INTERVAL)
    }

    /// Whether it is time to look at others, for a run that has something to ask. At its beginning each looks.
    pub(super) fn is_look_due(&self, has_something: bool, knows_times: bool) -> bool {
        let is_news = knows_times && !self.has_told_times;
        self.next_look().is_none_or(|at| has_something && (is_news || at <= Instant::now()))
    }

    pub(super) fn key(&self) -> &str {
        &self.shared.key
    }

    /// Finds out which other keys are of our account, from rows that were read with ours.
    pub(super) fn learn_keys(&self, rows: &[TaskRow]) {
        for member in self.group.iter().filter(|member| !self.shared.is_ours(&member.key)) {
            if member.task.as_ref().is_some_and(|task| rows.iter().any(|row| row.task == *task)) {
                self.judge_key(member.key.clone(), true);
            }
        }
    }

    /// Tells others of this run, and returns what they have told: how many list together with it, and the best estimate of any.
    pub(super) async fn look(&mut self, me: Member) -> (Others, DurationEstimate) {
        self.looked_at = Some(Instant::now());
        self.has_told_times = me.estimate.weight() > 0;
        let me = Member {
            from: me.from.div_euclid(WINDOW_STEP) * WINDOW_STEP,
            to: me.to.map(|to| (to.div_euclid(WINDOW_STEP) + 1) * WINDOW_STEP),
            ..me
        };
        let mut members = self.shared.members(&me).await.unwrap_or_default();
        members.retain(|member| member.run != self.shared.run && member.kind == me.kind);
        let estimate = members.iter().map(|member| member.estimate).max_by_key(DurationEstimate::weight);
        members.retain(|member| !member.has_left);
        members.push(me);
        self.group = together(members, &self.shared.run);
        let others = self.group.iter().filter(|member| member.run != self.shared.run);
        let others = others.fold(Others::default(), |sum, member| Others {
            runs: sum.runs + 1,
            known: sum.known.saturating_add(member.known),
            open: sum.open.saturating_add(member.open),
        });
        (others, estimate.unwrap_or_default())
    }

    /// How the pages of a round are read together with others; `None` where there are none.
    pub(super) fn listing(&mut self, round: u32) -> Option<Listing> {
        if std::mem::replace(&mut self.round, round) != round {
            self.listing = self.new_listing();
            self.shared.state().keys.retain(|_, is_ours| *is_ours);
        }
        self.listing.clone()
    }

    fn new_listing(&self) -> Option<Listing> {
        if self.group.len() < 2 {
            return None;
        }
        let from = self.group.iter().map(|member| member.from).min()?;
        let ends: Option<Vec<i64>> = self.group.iter().map(|member| member.to).collect();
        let to = ends.and_then(|ends| ends.into_iter().max());
        // A page of the round before is no news, not even at the same moment.
        let before = self.last_page_at + Duration::from_nanos(1);
        let since = self.shared.time()?.saturating_sub(SHARED_FOR).max(before);
        Some(Listing { shared: self.shared(), from, to, since })
    }

    /// A page of a round has come.
    pub(super) fn page_came(&mut self) {
        self.last_page_at = self.shared.time().unwrap_or(self.last_page_at);
    }

    /// A page that was read with another key has shown tasks of ours, or none.
    pub(super) fn judge_key(&self, key: String, is_ours: bool) {
        self.shared.state().keys.insert(key, is_ours);
    }

    /// Tells others that this run waits for nothing more.
    pub(super) async fn leave(&mut self, estimate: DurationEstimate) {
        let me = self.group.iter().find(|member| member.run == self.shared.run).cloned();
        if let Some(me) = me {
            self.shared.tell(&Member { estimate, has_left: true, ..me }).await;
        }
    }
}

/// Those of the members that list together with `run`. All of them come to the same.
fn together(mut members: Vec<Member>, run: &RunId) -> Vec<Member> {
    members.sort_by_key(|member| member.from);
    let mut group: Vec<Member> = Vec::new();
    for member in members {
        if group.first().is_some_and(|first| member.from.saturating_sub(first.from) > BEGUN_WITHIN) {
            if group.iter().any(|member| member.run == *run) {
                break;
            }
            group.clear();
        }
        group.push(member);
    }
    group
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time at the journal, if it is known.
    fn time(&self) -> Option<Duration> {
        self.state().time.map(|(time, at)| time + at.elapsed())
    }

    /// Whether a key is known to be of our account.
    fn is_ours(&self, key: &str) -> bool {
        *key == *self.key || self.state().keys.get(key) == Some(&true)
    }

    /// Changes what is shared under a name. `None` where the journal can't be reached soon.
    pub(super) async fn update<T: Send + 'static>(
        self: &Arc<Self>,
        name: String,
        mut change: impl FnMut(Option<&str>, Duration) -> (Option<String>, T) + Send + 'static,
    ) -> Option<T> {
        let (this, of) = (Arc::clone(self), name.clone());
        let change = move |text: Option<&str>, now| {
            let (text, result) = change(text.and_then(|text| this.opened(&of, text)), now);
            (text.map(|text| format!("{} {text}", this.seal(&of, &text))), (now, result))
        };
        let update = self.journal.update_shared(&self.topic, &name, self.client.local_time(), change);
        let (now, result) = self.in_time(update).await?;
        self.state().time = Some((now, Instant::now()));
        Some(result)
    }

    /// What only those can write who have the secret: whoever else can write to the journal decides no verdict.
    fn seal(&self, name: &str, text: &str) -> String {
        // Runs say in the text who they are.
        let kind = if name.starts_with(RUN) { RUN } else { name };
        let secret = self.secret.as_ref().map_or("", |secret| secret.expose_secret());
        hmac_sha256_hex(secret.as_bytes(), format!("{} {kind}\n{text}", self.topic).as_bytes())
    }

    /// The text behind its seal, if that is right.
    fn opened<'a>(&self, name: &str, text: &'a str) -> Option<&'a str> {
        let (seal, text) = text.split_once(' ').filter(|_| text.len() <= MAX_BYTES)?;
        (seal == self.seal(name, text)).then_some(text)
    }

    /// Waits for the journal a little, unless it has failed a moment ago.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Option<T> {
        if self.state().left_alone_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let done = timeout(WAIT, work).await.ok().and_then(Result::ok);
        if done.is_none() {
            self.state().left_alone_until = Some(Instant::now() + LEFT_ALONE_FOR);
        }
        done
    }

    /// Tells others of this run.
    async fn tell(self: &Arc<Self>, me: &Member) -> Option<()> {
        let told = serde_json::to_string(me).ok()?;
        self.update(format!("{RUN}{}", me.run), move |_, _| (Some(told.clone()), ())).await
    }

    /// Tells of this run, and returns all that have told of themselves.
    async fn members(self: &Arc<Self>, me: &Member) -> Option<Vec<Member>> {
        self.tell(me).await?;
        let all = self.in_time(self.journal.shared(&self.topic, RUN, self.client.local_time())).await?;
        // What another version wrote is no member.
        let member = |text: &String| serde_json::from_str(self.opened(RUN, text)?).ok();
        Some(all.iter().filter_map(member).collect())
    }

    /// Whether a sample may be polled: no run has polled one of this kind so recently.
    pub(super) async fn may_sample(self: &Arc<Self>, kind: Option<TaskType>, spared_for: Duration) -> bool {
        let asked = self.update(format!("sample {kind:?}"), move |last, now| {
            let last = last.and_then(|text| serde_json::from_str::<Duration>(text).ok());
            let is_spared = last.is_some_and(|last| last <= now && now < last + spared_for);
            (if is_spared { None } else { serde_json::to_string(&now).ok() }, !is_spared)
        });
        asked.await.unwrap_or(true)
    }
}

impl Listing {
    /// A page, from 1: as another run has just read it, or read now. With it comes the key of whoever read it, where that is
    /// not known to be of our account.
    pub(super) async fn page(
        &self,
        client: &VodClient,
        filter: Option<&TaskFilter>,
        page: u32,
    ) -> (Result<TaskPage>, Option<String>) {
        let name = format!("page {} {:?} {filter:?} {page}", self.from, self.to);
        loop {
            match self.take(&name).await {
                Some(Take::Read(read)) => {
                    let (page, key) = read.into_page();
                    return (Ok(page), Some(key).filter(|key| !self.shared.is_ours(key)));
                }
                Some(Take::Busy) => sleep(PAGE_INTERVAL).await,
                Some(Take::Claimed(at)) => {
                    let answer = tokio::select! {
                        answer = self.read(client, filter, page) => answer,
                        () = self.go_on_claiming(&name) => continue,
                    };
                    if let Ok(answer) = &answer {
                        self.post(&name, Page::read(answer, at, &self.shared.key)).await;
                    }
                    return (answer, None);
                }
                None => return (self.read(client, filter, page).await, None),
            }
        }
    }

    async fn read(&self, client: &VodClient, filter: Option<&TaskFilter>, page: u32) -> Result<TaskPage> {
        let time = |seconds| DateTime::from_timestamp(seconds, 0);
        let now = client.service_time();
        let window: (DateTime<Utc>, _) =
            (time(self.from).unwrap_or(now), self.to.and_then(time).unwrap_or(now).min(now));
        client.list_refresh_tasks(window, filter, page).await
    }

    /// Takes a page that was read, or the right to read it.
    async fn take(&self, name: &str) -> Option<Take> {
        let (since, shared) = (self.since, self.shared.clone());
        let refused: Vec<String> = self
            .shared
            .state()
            .keys
            .iter()
            .filter(|(_, is_ours)| !**is_ours)
            .map(|(key, _)| key.clone())
            .collect();
        let take =
            move |page: Option<&str>, now| Page::take(page, now, since, &shared.run, &shared.key, &refused);
        self.shared.update(name.to_owned(), take).await
    }

    async fn post(&self, name: &str, page: Page) {
        if let Ok(text) = serde_json::to_string(&page) {
            self.shared.update(name.to_owned(), move |_, _| (Some(text.clone()), ())).await;
        }
    }

    /// Says again and again that the page is being read.
    async fn go_on_claiming(&self, name: &str) {
        loop {
            sleep(CLAIM_INTERVAL).await;
            let run = self.shared.run.clone();
            self.shared
                .update(name.to_owned(), move |page, now| (Page::claimed_on(page, now, &run), ()))
                .await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs that began at these seconds.
    fn members(begun: &[i64]) -> Vec<Member> {
        let member = |from: &i64| Member {
            run: RunId::fresh(),
            kind: None,
            from: *from,
            to: None,
            known: 0,
            open: 0,
            estimate: DurationEstimate::default(),
            key: String::new(),
            task: None,
            has_left: false,
        };
        begun.iter().map(member).collect()
    }

    #[test]
    fn runs_that_began_within_five_minutes_list_together_and_all_come_to_the_same() {
        for (begun, groups) in [
            (&[0, 10, 300][..], &[&[0, 10, 300][..]][..]),
            (&[300, 0, 301], &[&[0, 300], &[301]]),
            (&[0, 301, 602, 10], &[&[0, 10], &[301], &[602]]),
            (&[i64::MIN, 0, i64::MAX], &[&[i64::MIN], &[0], &[i64::MAX]]),
        ] {
            let all = members(begun);
            for member in &all {
                let group = together(all.clone(), &member.run);
                let begun: Vec<i64> = group.iter().map(|member| member.from).collect();
                assert!(groups.contains(&&begun[..]), "{begun:?} of {groups:?}");
                assert!(begun.contains(&member.from), "{} is not in its own group", member.from);
            }
        }
    }
}
