//! Narrowed listings: when they come, and what becomes of a filter that misbehaves.

use super::listing::{SAMPLES, listed, rows_of, sixty_tasks_of, sorted};
use super::*;

const OURS: &str = "of file on a, any";
const RUNNING: &str = "of file on a, Refreshing";

/// Sixty tasks, whose object type a single look has shown; one of them has ended at 4 s.
fn sixty_tasks() -> Ledger {
    let mut ledger = sixty_tasks_of(&["m1", "m2"]);
    assert_eq!(sorted(due(&mut ledger, at(4))), SAMPLES);
    ledger.apply(at(4), seen_as("file", "m1-0", TaskStatus::Complete));
    ledger
}

/// Begins a listing at 4 s and meets many tasks of others.
fn amid_others() -> Ledger {
    let mut ledger = sixty_tasks();
    assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
    ledger.apply(at(5), listed(2, vec![], 50, 900));
    ledger
}

fn are_singles(words: &[String]) -> bool {
    words.len() > 50 && words.iter().all(|word| word.starts_with("poll"))
}

#[test]
fn a_round_that_meets_many_of_others_goes_on_without_them() {
    let mut ledger = amid_others();
    assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {OURS}")]);
    ledger.apply(at(5), listed(2, rows_of("m1", 0..30, &TaskStatus::Complete), 10, 60));
    assert_eq!(due(&mut ledger, at(5)), [format!("list page 1 {OURS}")]);
    ledger.apply(at(6), listed(1, rows_of("m2", 0..30, &TaskStatus::Refreshing), 50, 60));
    assert!(due(&mut ledger, at(6)).is_empty());
    assert_eq!(due(&mut ledger, at(9)), [format!("list page 2 {OURS}")]);
    ledger.apply(at(9), listed(2, vec![], 10, 60));
    assert_eq!(due(&mut ledger, at(9)), [format!("list page 1 {OURS}")]);
    ledger.apply(at(9), listed(1, rows_of("m2", 0..30, &TaskStatus::Complete), 50, 60));
    assert_eq!(due(&mut ledger, at(9)), ["query J"]);
    ledger.apply(at(9), looked_up("J", vec![success("m1", &[]), success("m2", &[])]));
    assert!(ledger.is_settled());
}

#[test]
fn a_round_that_is_dense_with_ours_is_not_cut_short() {
    let mut ledger = sixty_tasks();
    assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
    ledger.apply(at(5), listed(2, rows_of("m1", 0..30, &TaskStatus::Refreshing), 50, 900));
    assert_eq!(due(&mut ledger, at(5)), ["list page 1"], "one page more is likely to show the rest");
}

#[test]
fn a_filter_that_shows_nothing_is_loosened_and_then_left_out() {
    let mut ledger = amid_others();
    for words in [OURS, "of file on any, any"] {
        assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {words}")]);
        ledger.apply(at(5), listed(2, vec![], 0, 0));
    }
    assert_eq!(due(&mut ledger, at(5)), ["list page 2"], "everybody's tasks again");
    ledger.apply(at(5), listed(2, vec![], 50, 900));
    assert_eq!(due(&mut ledger, at(5)), ["list page 1"], "and they are read to the end");
}

#[test]
fn a_filter_that_is_refused_costs_one_call_and_is_not_written_down() {
    let mut ledger = amid_others();
    assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {OURS}")]);
    assert!(!ledger.is_news(&Fact::ListingRefused), "after a break, listings are not given up for it");
    ledger.apply(at(5), Fact::ListingRefused);
    assert_eq!(due(&mut ledger, at(5)), ["list page 2"]);
    assert!(ledger.is_news(&Fact::ListingRefused), "now it is all of them");
    ledger.apply(at(5), Fact::ListingRefused);
    assert!(are_singles(&due(&mut ledger, at(5))));
}

#[test]
fn a_filter_that_hides_some_is_left_out_unless_it_is_a_few() {
    for (shown, next) in [(0..20, "list page 2"), (0..29, "poll m2-29")] {
        let mut ledger = amid_others();
        assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {OURS}")]);
        ledger.apply(at(6), listed(2, rows_of("m1", 0..30, &TaskStatus::Refreshing), 10, 60));
        assert_eq!(due(&mut ledger, at(6)), [format!("list page 1 {OURS}")]);
        ledger.apply(at(6), listed(1, rows_of("m2", shown, &TaskStatus::Refreshing), 50, 60));
        assert_eq!(due(&mut ledger, at(6)), [next]);
    }
}

#[test]
fn where_all_tasks_are_too_many_single_looks_tell_how_to_narrow() {
    let mut ledger = sixty_tasks_of(&["m1", "m2"]);
    due(&mut ledger, at(4));
    ledger.apply(at(4), seen("m1-0", TaskStatus::Complete));
    assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
    ledger.apply(at(5), listed(2, vec![], 50, 5_000));
    let one = Slots { submit: 0, query_job: 0, poll_task: 1 };
    assert!(matches!(ledger.due(at(5), one), Some(Work::PollTask { .. })), "no type is known");
    ledger.apply(at(5), seen_as("path", "m1-1", TaskStatus::Refreshing));
    assert_eq!(due(&mut ledger, at(5)), ["list page 2 of path on a, any"]);
}

#[test]
fn rows_of_two_types_are_not_narrowed() {
    let mut ledger = sixty_tasks();
    ledger.apply(at(4), seen_as("block", "m1-1", TaskStatus::Refreshing));
    assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
    ledger.apply(at(5), listed(2, vec![], 50, 900));
    assert_eq!(due(&mut ledger, at(5)), ["list page 1"]);
}

/// Forty tasks are open, each on a page of its own among those of others, and the filter leaves one page of them.
fn scattered() -> Ledger {
    let mut ledger = sixty_tasks();
    assert_eq!(due(&mut ledger, at(4)), ["list page 2"]);
    // Too many pages for what is open, and no fewer of our own kind.
    ledger.apply(at(5), listed(2, vec![], 50, 5_000));
    assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {OURS}")]);
    ledger.apply(at(5), listed(2, vec![], 50, 5_000));
    ledger
}

#[test]
fn where_others_are_like_ours_only_the_running_ones_are_listed() {
    let mut ledger = scattered();
    assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {RUNNING}")]);
    ledger.apply(at(6), listed(2, rows_of("m1", 1..30, &TaskStatus::Refreshing), 10, 60));
    assert_eq!(due(&mut ledger, at(6)), [format!("list page 1 {RUNNING}")]);
    let ended = rows_of("m2", 29..30, &TaskStatus::Complete);
    ledger.apply(at(6), listed(1, [rows_of("m2", 3..29, &TaskStatus::Refreshing), ended].concat(), 50, 60));
    let ended = ledger.progress().tasks_ended;
    assert_eq!(ended, 1, "absence proves nothing, and an ended row not that all have ended");
    assert_eq!(sorted(due(&mut ledger, at(6))), ["poll m2-0", "poll m2-1", "poll m2-29"]);
    for id in ["m2-0", "m2-1", "m2-29"] {
        ledger.apply(at(6), seen_as("file", id, TaskStatus::Complete));
    }
    let words = due(&mut ledger, at(9));
    assert!(words.contains(&format!("list page 2 {RUNNING}")), "{words:?}");
}

#[test]
fn running_tasks_that_are_not_shown_end_such_listings() {
    let mut ledger = scattered();
    assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {RUNNING}")]);
    ledger.apply(at(6), listed(2, vec![], 0, 40));
    assert_eq!(due(&mut ledger, at(6)), [format!("list page 1 {RUNNING}")]);
    ledger.apply(at(6), listed(1, rows_of("m1", 1..30, &TaskStatus::Refreshing), 40, 40));
    let asked = due(&mut ledger, at(6));
    assert!(asked.len() > 20 && asked.iter().all(|word| word.starts_with("poll m2")), "{asked:?}");
    for word in &asked {
        ledger.apply(at(7), seen_as("file", word.trim_start_matches("poll "), TaskStatus::Pending));
    }
    let words: Vec<String> = (8..60).flat_map(|now| due(&mut ledger, at(now))).collect();
    assert!(are_singles(&words), "{words:?}");
}

#[test]
fn a_listing_of_running_tasks_that_is_refused_or_full_of_others_leaves_single_calls() {
    for answer in [Fact::ListingRefused, listed(2, vec![], 50, 5_000)] {
        let mut ledger = scattered();
        assert_eq!(due(&mut ledger, at(5)), [format!("list page 2 {RUNNING}")]);
        ledger.apply(at(6), answer);
        assert!(are_singles(&due(&mut ledger, at(6))));
    }
}

#[test]
fn a_filter_that_does_not_fit_all_of_ours_any_more_is_replaced_in_mid_round() {
    let another_domain = || {
        let ids = vec![task("m3-0")];
        looked_up("J", vec![JobRow::new(media("m3"), SubmissionStatus::Success, ids, "https://b/1.mp4")])
    };
    let another_type = || seen_as("block", "m1-1", TaskStatus::Refreshing);
    for (news, next) in
        [(another_domain(), "list page 2 of file on any, any"), (another_type(), "list page 2")]
    {
        let mut ledger = sixty_tasks_of(&["m1", "m2", "m3"]);
        due(&mut ledger, at(4));
        ledger.apply(at(4), seen_as("file", "m1-0", TaskStatus::Complete));
        due(&mut ledger, at(4));
        ledger.apply(at(5), listed(2, vec![], 50, 900));
        let words = due(&mut ledger, at(5));
        assert!(words.contains(&format!("list page 2 {OURS}")), "{words:?}");
        ledger.apply(at(5), news);
        ledger.apply(at(5), listed(2, vec![], 10, 60));
        let words = due(&mut ledger, at(5));
        assert!(words.contains(&next.to_owned()), "{words:?}");
    }
}
