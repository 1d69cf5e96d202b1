//! `kill -9` at moments all over a run, each time on another machine: any other carries it on, and nothing whose answer was written
//! down goes out again.

use std::time::Duration;

use vod_refresh::journal::StoredRun;
use vod_refresh::{Journal, Outcome};

use super::server::{Database, Server};
use crate::kills::{MEDIA, cloud, whole};
use crate::support::answered_batches;
use crate::support::program::{Home, end};

/// The run as any machine sees it; none if it was killed before it was written down.
fn stored(database: &Database<'_>) -> Option<StoredRun> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = Journal::connect_to_read(&database.url()).await.unwrap();
        let id = journal.runs().await.unwrap().first()?.run_id.clone();
        journal.load(Some(id)).await.unwrap()
    })
}

#[test]
fn a_run_that_is_killed_on_one_machine_after_the_other_is_carried_to_its_end() {
    let Some(server) = Server::shared() else { return };
    let (database, cloud) = (server.database(), cloud());
    let mut line = whole(&cloud);
    // Whoever resumes gives the one before it three seconds to come back. None kills no more.
    let moments = [Some(400), Some(3_200), Some(3_350), Some(3_600), Some(4_000), None];
    let mut kills = 0;
    for moment in moments {
        let known = stored(&database).map(|run| answered_batches(&run)).unwrap_or_default();
        let before = cloud.submits();
        line.extend(["--journal".to_owned(), database.url()]);
        let machine = Home::new();
        let mut child = machine.start(&line);
        if let Some(moment) = moment {
            std::thread::sleep(Duration::from_millis(moment));
            let _ = child.kill();
        }
        let ended = end(child);
        for list in known {
            assert_eq!(before[&list], cloud.submits()[&list], "submitted again: {list}");
        }
        assert!(matches!(ended.code, None | Some(0)), "{ended:?}");
        kills += usize::from(ended.code.is_none());
        match stored(&database) {
            Some(run) if run.outcome.is_some() => {
                let complete = run.report().summary.media_complete;
                assert_eq!((run.outcome, complete), (Some(Outcome::Complete), MEDIA as u64));
                assert!(kills >= 2, "it was not killed often enough: {kills}");
                return;
            }
            Some(_) => line = vec!["resume".to_owned()],
            None => line = whole(&cloud),
        }
    }
    panic!("it does not come to its end");
}
