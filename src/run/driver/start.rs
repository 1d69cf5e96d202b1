//! How a run begins: from a request, from jobs of others, or from the journal.

use std::time::Duration;

use tokio::time::sleep;

use super::calls::HISTORY;
use super::fleet::Fleet;
use super::run_journal::RunJournal;
use super::state::Driver;
use super::stored::{ledger_of, replayed, still_open};
use crate::auth::Credential;
use crate::auth::preview::KeyMark;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::RunId;
use crate::model::{Fact, LookupAfter, Moment, Order, Report, RunRecord, StoredRun, code};
use crate::run::batch;
use crate::run::setup::Setup;

/// Of a run that is so old the service knows nothing any more. Between that and its history, a clock may have been wrong.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * HISTORY.as_secs());

/// However little time a run has, the source of its credentials gets so long.
const LEAST_CREDENTIAL_WAIT: Duration = Duration::from_secs(5);

/// Begins a run; what can't be sent is refused before anything else.
pub(crate) async fn begin(setup: &Setup, order: Order) -> Result<Report> {
    let run = RunId::fresh();
    match &order {
        Order::Refresh(request) => {
            batch::check(request, &run)?;
            if request.then_preload && !setup.options.wait {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "a run that does not wait can't preload afterwards",
                ));
            }
        }
        Order::Urls(request) => request.check()?,
        Order::Wait(request) => request.check()?,
    }
    let asks_nobody = setup.options.lookup_after == Some(LookupAfter::Never) && setup.inbox.is_none();
    if asks_nobody && setup.options.wait && !matches!(order, Order::Urls(_)) {
        let message =
            "a run without lookups and without a source of events would learn nothing: give it an inbox";
        return Err(Error::new(ErrorKind::Usage, message));
    }
    // Without a credential nothing can be done: say so before anything else.
    match credential(setup).await {
        Ok(credential) => prepare(setup, run, order, Some(&credential)).await?.run().await,
        Err(why) if setup.stop.is_cancelled() => decline(setup, order, why).await,
        Err(why) => Err(why),
    }
}

/// The credential of a run. Its source gets as long as the whole run may take, five seconds at least, and until it is stopped.
async fn credential(setup: &Setup) -> Result<Credential> {
    let limit = setup.options.timeout.max(LEAST_CREDENTIAL_WAIT);
    let (why, code) = tokio::select! {
        biased;
        credential = setup.client.credential() => return credential,
        () = setup.stop.cancelled() => ("it was stopped".to_owned(), code::INTERRUPTED),
        () = sleep(limit) => (format!("{} s have passed", limit.as_secs()), code::CREDENTIAL_TIMEOUT),
    };
    let message =
        format!("the run could not begin: {why} before its credentials came; nothing was submitted");
    Err(Error::new(ErrorKind::Unavailable, message).with_code(code))
}

/// The report of a run that is not begun, for this reason, or since it was stopped before. Nobody is asked, so it needs no
/// credential.
pub(crate) async fn decline(setup: &Setup, order: Order, why: Error) -> Result<Report> {
    let setup = Setup { journal: None, edge: None, ..setup.clone() };
    let mut driver = prepare(&setup, RunId::fresh(), order, None).await?;
    driver.fatal = Some(why);
    driver.run().await
}

async fn prepare<'a>(
    setup: &'a Setup,
    run: RunId,
    order: Order,
    credential: Option<&Credential>,
) -> Result<Driver<'a>> {
    let record = RunRecord {
        run,
        started_at: setup.client.local_time(),
        order,
        options: setup.options.clone(),
        has_events: setup.inbox.is_some(),
        key: credential.map(|credential| KeyMark::of(&credential.key_id)),
        settings: setup.settings.clone(),
    };
    let journal = RunJournal::begin(setup.journal.clone(), &record).await?;
    let seed = setup.client.seed_of_a_run();
    let ledger = ledger_of(&record, Moment::after(setup.options.timeout), seed);
    let fleet = credential.and_then(|credential| fleet(setup, &record.run, credential));
    Ok(Driver::new(setup, record, ledger, journal, Duration::ZERO, fleet))
}

/// What a run shares with others, where there is a place for it.
fn fleet(setup: &Setup, run: &RunId, credential: &Credential) -> Option<Fleet> {
    setup.journal.as_ref().map(|journal| Fleet::join(journal, &setup.client, run, credential))
}

/// Carries a stored run on; with `once`, asks about everything that is open once, and ends.
pub(crate) async fn resume(setup: &Setup, stored: StoredRun, once: bool) -> Result<Report> {
    let credential = credential(setup).await?;
    let key = KeyMark::of(&credential.key_id);
    still_open(&stored)?;
    let mut journal = RunJournal::resume(setup.journal.clone(), &stored.record.run).await?;
    // Whoever drove it until now may have written more since it was loaded, or ended it.
    let mut stored = journal.reload(stored).await?;
    still_open(&stored)?;
    stored.record.options = setup.options.clone();
    stored.record.has_events = setup.inbox.is_some();
    let mut ledger = replayed(&stored, setup.client.seed_of_a_run());
    drop(ledger.take_notices());
    if ledger.is_edge_due() && setup.edge.is_none() && !once {
        let message = format!(
            "run {} is to ask nodes of the CDN, and the journal does not know how: resume it with `--verify-edge`",
            stored.record.run
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    let last = stored.facts.last().map_or(Duration::ZERO, |(at, _)| at.since_start());
    // The machine's clock may have been set back meanwhile; facts never are.
    let age = (setup.client.local_time() - stored.record.started_at).to_std().unwrap_or_default().max(last);
    let said = journal.write(Moment::after(age), &ledger, &ledger.facts_of_a_break()).await;
    let begun_with = stored.record.key.clone().filter(|begun_with| *begun_with != key);
    ledger.reopen(Moment::after(age), Moment::after(age) + setup.options.timeout, begun_with.is_some());
    let fleet = fleet(setup, &stored.record.run, &credential);
    let mut driver = Driver::new(setup, stored.record, ledger, journal, age, fleet);
    driver.once = once;
    driver.warn(said);
    driver.warning = begun_with.map(|begun_with| {
        format!(
            "this run was begun with access key {begun_with} and is carried on with {key}: what {key} does not find stays unfinished, for it may be another account's; resume it with the first key"
        )
    });
    let last_sent = stored.facts.iter().rev().find(|(_, fact)| matches!(fact, Fact::Submitting { .. }));
    let unasked_for = age.saturating_sub(last_sent.map_or(Duration::ZERO, |(at, _)| at.since_start()));
    if unasked_for >= FORGOTTEN_AFTER {
        let days = [unasked_for, HISTORY].map(|time| time.as_secs() / 86_400);
        let message = format!(
            "the service has forgotten run {}: it began {} days ago by this machine's clock, and tasks are kept for {} days; \
             what is open can't be found out any more",
            driver.record.run, days[0], days[1]
        );
        driver.is_forgotten = true;
        driver.fatal = Some(Error::new(ErrorKind::NotFound, message).with_code(code::FORGOTTEN));
    }
    driver.run().await
}
