//! When tasks are looked at, and when they are listed.

use super::*;
use crate::run::polling::Tasks as _;

/// A run whose first two media have 30 tasks each, submitted at 1 s and known at 2 s; nothing is known of the others yet.
pub(super) fn sixty_tasks_of(ids: &[&str]) -> Ledger {
    let mut ledger = ledger(false, ids);
    ledger.apply(at(1), submitted("J"));
    assert_eq!(due(&mut ledger, at(1)), ["query J"]);
    let row = |id: &str| {
        let ids: Vec<TaskId> = (0..30).map(|n| task(&format!("{id}-{n}"))).collect();
        let urls: Vec<String> = ids.iter().map(|id| format!("https://a/{id}")).collect();
        JobRow::new(media(id), SubmissionStatus::Success, ids, &urls.join(","))
    };
    ledger.apply(at(2), looked_up("J", vec![row("m1"), row("m2")]));
    ledger
}

/// Sixty tasks, of which those that stand in for the others were looked at; one of them has ended at 4 s.
fn sixty_tasks() -> Ledger {
    let mut ledger = sixty_tasks_of(&["m1", "m2"]);
    assert_eq!(sorted(due(&mut ledger, at(4))), SAMPLES);
    ledger.apply(at(4), seen("m1-0", TaskStatus::Complete));
    ledger
}

pub(super) const SAMPLES: [&str; 4] = ["poll m1-0", "poll m1-16", "poll m2-18", "poll m2-2"];

pub(super) fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

/// A page of so many rows: these, and those of others.
pub(super) fn listed(page: u32, ours: Vec<TaskRow>, rows: usize, total: u64) -> Fact {
    Fact::Listed { page, rows: among_others(ours, rows), total: Some(total), is_last: rows < 50 }
}

/// Those of others are newer.
pub(super) fn among_others(ours: Vec<TaskRow>, rows: usize) -> Vec<TaskRow> {
    let made_at = |mut row: TaskRow, second| {
        row.created_at = chrono::DateTime::from_timestamp(second, 0);
        row
    };
    let other = |n| TaskRow::new(task("other"), format!("https://b/{n}"), TaskStatus::Complete);
    let others = (ours.len()..rows).map(|n| made_at(other(n), 2));
    others.chain(ours.into_iter().map(|row| made_at(row, 1))).collect()
}

pub(super) fn rows_of(media: &str, tasks: std::ops::Range<u32>, status: &TaskStatus) -> Vec<TaskRow> {
    tasks
        .map(|n| {
            TaskRow::new(task(&format!("{media}-{n}")), format!("https://a/{media}-{n}"), status.clone())
        })
        .collect()
}

#[test]
fn a_listed_row_of_somebody_elses_url_does_not_stand_for_our_task() {
    let mut ledger = sixty_tasks();
    let (_, tasks) = ledger.planner(at(4));
    let row = |url: &str| TaskRow::new(task("m1-1"), url, TaskStatus::Complete);
    assert!(tasks.of_row(&row("http://A/m1-1")).is_some());
    assert!(tasks.of_row(&row("https://other/m1-1")).is_none());
}

#[test]
fn nothing_is_asked_before_a_task_can_be_done() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    due(&mut ledger, at(1));
    ledger.apply(at(2), looked_up("J", vec![success("m1", &["T1"])]));
    assert!(due(&mut ledger, at(2)).is_empty());
    assert_eq!(due(&mut ledger, at(4)), ["poll T1"]);
}

#[test]
fn tasks_of_a_job_of_others_are_looked_at_at_once() {
    let mut settings = settings(false);
    settings.task_type = None;
    let mut ledger = of_job(settings);
    assert_eq!(due(&mut ledger, at(0)), ["query J"]);
    ledger.apply(at(1), looked_up("J", vec![success("m1", &["T1"])]));
    assert_eq!(due(&mut ledger, at(1)), ["poll T1"]);
}

#[test]
fn as_long_as_nothing_has_ended_a_few_stand_in_for_the_others() {
    let mut ledger = sixty_tasks_of(&["m1", "m2"]);
    let mut looks = Vec::new();
    for now in 2..30 {
        for word in due(&mut ledger, at(now)) {
            assert!(SAMPLES.contains(&&*word), "{word}");
            ledger.apply(at(now), seen(word.trim_start_matches("poll "), TaskStatus::Refreshing));
            looks.push(now);
        }
    }
    assert!((20..30).contains(&looks.len()), "{looks:?}");
    ledger.apply(at(30), seen("m2-18", TaskStatus::Complete));
    assert!(due(&mut ledger, at(30)).contains(&"list page 2".to_owned()));
}

#[test]
fn those_that_stand_in_may_be_slower_than_the_others() {
    let mut ledger = sixty_tasks_of(&["m1", "m2"]);
    let mut rounds = Vec::new();
    for now in 2..400 {
        let mut words = due(&mut ledger, at(now));
        while let Some(word) = words.pop() {
            if let Some(id) = word.strip_prefix("poll ") {
                ledger.apply(at(now), seen(id, TaskStatus::Refreshing));
                continue;
            }
            let (page, media) = if word == "list page 2" { (2, "m1") } else { (1, "m2") };
            rounds.extend((page == 2).then_some(now));
            let rows = if page == 2 { 49 } else { 50 };
            ledger.apply(at(now), listed(page, rows_of(media, 0..30, &TaskStatus::Refreshing), rows, 99));
            words.extend(due(&mut ledger, at(now)));
        }
    }
    assert!(matches!(rounds[..], [60..70, 180..190]), "{rounds:?}");
}

#[test]
fn the_oldest_tasks_are_listed_first_until_all_are_seen() {
    let mut ledger = sixty_tasks();
    assert_eq!(due(&mut ledger, at(4)), ["list page 2"], "the others wait for the round");
    ledger.apply(at(5), listed(2, rows_of("m1", 0..30, &TaskStatus::Complete), 50, 500));
    assert_eq!(due(&mut ledger, at(5)), ["list page 1"]);
    ledger.apply(at(6), listed(1, vec![], 50, 500));
    assert_eq!(due(&mut ledger, at(6)), ["list page 3"], "older ones of others came first");
    ledger.apply(at(7), listed(3, rows_of("m2", 0..30, &TaskStatus::Refreshing), 50, 150));
    assert_eq!(due(&mut ledger, at(7)), ["list page 4"], "a total ends nothing");
    ledger.apply(at(7), listed(4, vec![], 0, 150));
    assert!(due(&mut ledger, at(7)).is_empty());
    assert_eq!(ledger.progress().tasks_ended, 30);
}

#[test]
fn a_task_that_a_round_should_have_shown_is_asked_for_alone() {
    let mut ledger = sixty_tasks();
    let round = |ledger: &mut Ledger, now: Moment| {
        assert_eq!(due(ledger, now), ["list page 2"]);
        ledger.apply(now, listed(2, rows_of("m1", 3..30, &TaskStatus::Refreshing), 48, 98));
        assert_eq!(due(ledger, now), ["list page 1"]);
        ledger.apply(now, listed(1, rows_of("m2", 0..30, &TaskStatus::Refreshing), 50, 98));
    };
    round(&mut ledger, at(4));
    assert!(due(&mut ledger, at(4)).is_empty(), "they may be too fresh to be listed");
    round(&mut ledger, at(9));
    assert_eq!(sorted(due(&mut ledger, at(10))), ["poll m1-1", "poll m1-2"]);
}

#[test]
fn listings_are_given_up_where_single_calls_are_cheaper() {
    for (total, most) in [(Some(5_000), 1), (None, 20)] {
        let mut ledger = sixty_tasks();
        let mut words = due(&mut ledger, at(4));
        let mut pages = 0;
        while words.len() == 1 {
            pages += 1;
            let page = words[0].trim_start_matches("list page ").parse().unwrap();
            ledger.apply(at(5), Fact::Listed { page, rows: among_others(vec![], 50), total, is_last: false });
            words = due(&mut ledger, at(5));
        }
        assert_eq!(pages, most, "{total:?}");
        assert!(words.len() > 50 && words.iter().all(|word| word.starts_with("poll")), "{words:?}");
    }
}

#[test]
fn a_listing_that_is_too_dear_holds_up_no_task_while_those_of_a_media_are_not_known() {
    let mut ledger = sixty_tasks_of(&["m1", "m2", "m3"]);
    assert_eq!(sorted(due(&mut ledger, at(4))), SAMPLES);
    ledger.apply(at(4), seen("m1-0", TaskStatus::Complete));
    // Its pages are short, and there are far more of them than its total says. Rows of others may be those of the third media.
    for now in [4, 60] {
        let mut words = due(&mut ledger, at(now));
        let mut pages = 0;
        while let Some(page) = words.iter().find_map(|word| word.strip_prefix("list page ")) {
            pages += 1;
            let (page, rows) = (page.parse().unwrap(), among_others(vec![], 12));
            ledger.apply(at(now), Fact::Listed { page, rows, total: Some(99), is_last: false });
            words = due(&mut ledger, at(now));
        }
        let polled: Vec<_> = words.iter().filter_map(|word| word.strip_prefix("poll ")).collect();
        assert!(pages == 20 && polled.len() > 50, "{pages} {words:?}");
        for id in polled {
            ledger.apply(at(now), seen(id, TaskStatus::Refreshing));
        }
    }
}

#[test]
fn refused_listings_leave_single_calls() {
    let mut ledger = sixty_tasks();
    due(&mut ledger, at(4));
    ledger.apply(at(5), Fact::ListingRefused);
    let words = due(&mut ledger, at(5));
    assert!(words.len() > 50 && words.iter().all(|word| word.starts_with("poll")), "{words:?}");
}

#[test]
fn merged_tasks_are_never_listed() {
    let mut ledger = ledger(false, &["m1"]);
    ledger.apply(at(1), submitted("J"));
    due(&mut ledger, at(1));
    let urls: Vec<String> = (0..60).map(|n| format!("https://a/{n}")).collect();
    let ids: Vec<TaskId> = (0..30).map(|n| task(&format!("T{n}"))).collect();
    let merged = JobRow::new(media("m1"), SubmissionStatus::Success, ids, &urls.join(","));
    ledger.apply(at(2), looked_up("J", vec![merged]));
    let words = due(&mut ledger, at(4));
    assert!(words.len() == 30 && words.iter().all(|word| word.starts_with("poll")), "{words:?}");
}

/// Its row may be a second one of any task of the media, on any page.
#[test]
fn tasks_of_a_media_of_which_a_url_is_missing_are_not_listed() {
    let mut ledger = sixty_tasks_of(&["m1", "m2"]);
    assert_eq!(sorted(due(&mut ledger, at(4))), SAMPLES);
    for n in 0..30 {
        let id = format!("m1-{n}");
        let url = if n == 0 { "https://a/spelt-otherwise".into() } else { format!("https://a/{id}") };
        let row = TaskRow::new(task(&id), url, TaskStatus::Complete);
        ledger.apply(at(4), Fact::TaskSeen { task: task(&id), rows: vec![row], total: Some(1) });
    }
    let words = due(&mut ledger, at(60));
    let (alone, rest): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.starts_with("poll m1"));
    assert_eq!((alone.len(), rest), (30, vec!["list page 2".to_owned()]));
}

#[test]
fn rows_of_a_round_that_was_not_read_to_its_end_count_for_nothing() {
    let mut ledger = sixty_tasks();
    assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
    ledger.apply(at(5), listed(2, rows_of("m1", 0..30, &TaskStatus::Complete), 50, 500));
    assert_eq!(due(&mut ledger, at(5)), ["list page 1"]);
    ledger.apply(at(6), Fact::ListingRefused);
    due(&mut ledger, at(6));
    assert_eq!(ledger.progress().tasks_ended, 1, "another page may have another row of each");
}

#[test]
fn a_url_whose_rows_stand_on_two_pages_ends_as_the_worst_of_them() {
    for pages in [[TaskStatus::Complete, TaskStatus::Failed], [TaskStatus::Failed, TaskStatus::Complete]] {
        let mut ledger = sixty_tasks();
        let rows = |place: usize| rows_of("m1", 5..6, &pages[place]);
        let others =
            [rows_of("m1", 1..5, &TaskStatus::Complete), rows_of("m1", 6..30, &TaskStatus::Complete)];
        assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
        ledger.apply(at(5), listed(2, [rows(0), others.concat()].concat(), 49, 99));
        assert_eq!(due(&mut ledger, at(5)), ["list page 1"]);
        ledger
            .apply(at(6), listed(1, [rows(1), rows_of("m2", 0..30, &TaskStatus::Complete)].concat(), 50, 99));
        due(&mut ledger, at(6));
        let ends = states(&ledger).into_iter().map(|(_, state, _)| state).collect::<Vec<_>>();
        assert_eq!(ends, ["failed", "complete"], "{pages:?}");
    }
}

/// Whatever a total or the length of a page says: another row of a task may stand on any page that the service has.
#[test]
fn a_round_is_read_until_no_page_follows() {
    for total in [None, Some(0), Some(60), Some(130)] {
        let mut ledger = sixty_tasks();
        let page = |page, rows: Vec<TaskRow>, is_last| Fact::Listed { page, rows, total, is_last };
        let ended = |media, tasks| rows_of(media, tasks, &TaskStatus::Complete);
        assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
        ledger.apply(at(5), page(2, ended("m1", 10..30), false));
        assert_eq!(due(&mut ledger, at(5)), ["list page 1"]);
        ledger.apply(at(5), page(1, ended("m1", 1..10), false));
        assert_eq!(due(&mut ledger, at(5)), ["list page 3"]);
        ledger.apply(at(5), page(3, ended("m2", 0..30), false));
        assert_eq!(due(&mut ledger, at(5)), ["list page 4"]);
        ledger.apply(at(5), page(4, rows_of("m1", 5..6, &TaskStatus::Refreshing), true));
        due(&mut ledger, at(5));
        let ends: Vec<_> = states(&ledger).into_iter().map(|(_, state, _)| state).collect();
        assert_eq!(ends, ["unfinished", "complete"], "{total:?}");
    }
}

/// An empty page and a total tell where the last rows may stand, and nothing more.
#[test]
fn pages_that_a_total_leaves_out_are_read_all_the_same() {
    let mut ledger = sixty_tasks();
    ledger.learn_of_others(
        at(4),
        crate::run::polling::Others { runs: 1, known: 100, open: 100 },
        Default::default(),
    );
    assert_eq!(due(&mut ledger, at(4)), ["list page 4"]);
    let page = |page, rows: Vec<TaskRow>| {
        let is_last = rows.is_empty();
        Fact::Listed { page, rows, total: Some(60), is_last }
    };
    ledger.apply(at(5), page(4, vec![]));
    assert_eq!(due(&mut ledger, at(5)), ["list page 2"]);
    ledger.apply(at(5), page(2, rows_of("m2", 0..30, &TaskStatus::Complete)));
    assert_eq!(due(&mut ledger, at(5)), ["list page 1"]);
    ledger.apply(at(5), page(1, rows_of("m1", 1..30, &TaskStatus::Complete)));
    assert_eq!(due(&mut ledger, at(5)), ["list page 3"]);
    ledger.apply(at(5), page(3, rows_of("m1", 5..6, &TaskStatus::Refreshing)));
    assert_eq!(due(&mut ledger, at(5)), ["list page 4"]);
    ledger.apply(at(5), page(4, vec![]));
    due(&mut ledger, at(5));
    let ends: Vec<_> = states(&ledger).into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(ends, ["unfinished", "complete"]);
}

/// A page may show another row of a task than the one that is known.
#[test]
fn a_task_of_which_a_round_does_not_show_the_known_rows_is_polled_alone() {
    let dated = |second| {
        let mut rows = rows_of("m1", 1..2, &TaskStatus::Complete);
        rows[0].created_at = chrono::DateTime::from_timestamp(second, 0);
        rows
    };
    let running = |second| {
        let mut rows = dated(second);
        rows[0].status = TaskStatus::Refreshing;
        rows
    };
    for (known, shown, is_taken) in [
        (running(1), dated(1), true),
        (running(2), dated(1), false),
        ([running(1), dated(1)].concat(), dated(1), false),
    ] {
        let mut ledger = sixty_tasks();
        ledger.apply(at(4), Fact::TaskSeen { task: task("m1-1"), rows: known, total: None });
        assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
        let others = rows_of("m1", 2..30, &TaskStatus::Complete);
        ledger.apply(at(9), listed(2, [shown, others].concat(), 49, 99));
        assert_eq!(due(&mut ledger, at(9)), ["list page 1"]);
        ledger.apply(at(9), listed(1, rows_of("m2", 0..30, &TaskStatus::Complete), 50, 99));
        due(&mut ledger, at(9));
        assert_eq!(state(&ledger).0, if is_taken { "complete" } else { "unfinished" });
    }
}

#[test]
fn tasks_that_wait_for_samples_are_looked_at_although_one_of_them_waits_no_more() {
    for refused in ["m1", "m2"] {
        let mut ledger = sixty_tasks_of(&["m1", "m2"]);
        let open = if refused == "m1" { "m2" } else { "m1" };
        let mut listings = 0;
        for now in 2..400 {
            if now == 5 {
                let refusal = row(refused, SubmissionStatus::Fail, &[]);
                ledger.apply(at(now), looked_up("J", vec![refusal]));
            }
            let mut words = due(&mut ledger, at(now));
            while let Some(word) = words.pop() {
                if let Some(id) = word.strip_prefix("poll ") {
                    ledger.apply(at(now), seen(id, TaskStatus::Refreshing));
                } else if word.starts_with("list page") {
                    listings += 1;
                    ledger.apply(at(now), listed(1, rows_of(open, 0..30, &TaskStatus::Refreshing), 30, 30));
                    words.extend(due(&mut ledger, at(now)));
                }
            }
        }
        assert!(listings > 0, "{refused} is refused, and nobody asks about the others");
    }
}
