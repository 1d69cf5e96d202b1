//! The first of the two sets that a verdict compares: what the service said belongs to a media.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use crate::model::Moment;
use crate::run::table::TaskIndex;
use crate::vod::normal_form;

/// Stands for the normal form of a URL. Two URLs are taken for one where their keys are equal: 64 bits, keyed anew in each
/// process, so that nobody can look for two URLs with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UrlKey(u64);

impl UrlKey {
    pub(crate) fn of(url: &str) -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEYS.hash_one(normal_form(url)))
    }
}

/// The tasks and playback URLs of one media, and how far that is certain.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Rows of the tasks that were named.
    pub(super) tasks: Vec<TaskIndex>,
    /// Those of them that were looked at before they were named: what they showed then is no word about this media. With each,
    /// how many answers it takes until one is of a look that began afterwards.
    pub(super) stale: Vec<(TaskIndex, u8)>,
    pub(super) urls: Urls,
    pub(super) certainty: Certainty,
    /// A lookup has named tasks, or said that there are none; until then they are what an event said.
    pub(super) by_lookup: bool,
    /// A lookup has named URLs.
    pub(super) urls_by_lookup: bool,
    /// Since when lookups say what they say now.
    pub(super) since: Option<Moment>,
    /// The place of the task that the last verdict found running.
    pub(super) running: usize,
    /// Not all of it was shown for the whole grace.
    pub(super) has_lapsed: bool,
}

/// How far it is certain which tasks and URLs a media has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Certainty {
    /// At most an event has told of the media.
    #[default]
    Unshown,
    /// A lookup shows the media, without a final word or with a list that can't be read.
    Pending,
    /// A lookup says that all of its URLs were handed to the CDN, and may yet name more of them.
    Named,
    /// Nothing more is expected.
    Settled,
}

impl Named {
    /// Whether each task is likely to have one URL. Merged task ids are fewer than the URLs; without URLs nobody knows.
    pub(super) fn has_one_url_a_task(&self) -> bool {
        !self.urls.is_empty() && self.tasks.len() >= self.urls.len()
    }

    /// Whether a task has to be looked at again before its rows tell anything of this media.
    pub(super) fn is_stale(&self, task: TaskIndex) -> bool {
        self.stale.iter().any(|(stale, _)| *stale == task)
    }

    /// A look at a task was answered.
    pub(super) fn looked_at(&mut self, task: TaskIndex, is_shown: bool) {
        let Some(place) = self.stale.iter().position(|(stale, _)| *stale == task) else { return };
        match &mut self.stale[place].1 {
            1 if is_shown => drop(self.stale.swap_remove(place)),
            1 => {}
            answers => *answers -= 1,
        }
    }
}

/// Playback URLs, each once, in the order in which they were named. Small: a run may have 200,000.
#[derive(Debug, Default)]
pub(super) struct Urls {
    /// One a line.
    text: Box<str>,
    /// The key of each, and where it begins in the text; by key.
    index: Box<[(UrlKey, u32)]>,
}

impl Urls {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Adds those that are not there yet; says whether there were any.
    pub(super) fn add(&mut self, urls: &[String]) -> bool {
        let mut keys: Vec<UrlKey> = Vec::with_capacity(urls.len());
        keys.extend(urls.iter().map(|url| UrlKey::of(url)));
        if keys.iter().all(|key| self.place(*key).is_some()) {
            return false;
        }
        let (mut text, mut index) = (std::mem::take(&mut self.text).into_string(), Vec::new());
        index.extend(self.index.iter().copied());
        text.reserve_exact(urls.iter().map(|url| url.len() + 1).sum());
        for (url, key) in urls.iter().zip(keys) {
            index.push((key, text.len() as u32));
            text.push_str(url);
            text.push('\n');
        }
        // The sort is stable: of two spellings the first one stays.
        index.sort_by_key(|(key, _)| *key);
        index.dedup_by_key(|(key, _)| *key);
        (self.text, self.index) = (text.into(), index.into());
        true
    }

    /// The place of a URL among these, in no order that means anything.
    pub(super) fn place(&self, key: UrlKey) -> Option<usize> {
        self.index.binary_search_by_key(&key, |(known, _)| *known).ok()
    }

    pub(super) fn holds(&self, url: &str) -> bool {
        self.place(UrlKey::of(url)).is_some()
    }

    /// A URL in the spelling in which it was named.
    pub(super) fn spelling(&self, place: usize) -> &str {
        let start = self.index[place].1 as usize;
        self.text[start..].lines().next().unwrap_or_default()
    }

    /// All of them so spelt, in the order in which they were named.
    pub(super) fn spellings(&self) -> Vec<&str> {
        let mut places: Vec<usize> = (0..self.len()).collect();
        places.sort_unstable_by_key(|place| self.index[*place].1);
        places.into_iter().map(|place| self.spelling(place)).collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = UrlKey> {
        self.index.iter().map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_url_stands_once_in_its_first_spelling() {
        let mut urls = Urls::default();
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert!(urls.add(&list(&["https://a.test/2", "https://a.test/1", "http://A.test/2"])));
        assert!(!urls.add(&list(&["a.test/1"])), "it is the same one");
        assert!(urls.add(&list(&["https://a.test/0"])));
        assert_eq!(urls.spellings(), ["https://a.test/2", "https://a.test/1", "https://a.test/0"]);
        for (url, spelling) in
            [("//a.test:443/2", "https://a.test/2"), ("https://a.test/0", "https://a.test/0")]
        {
            assert_eq!(urls.spelling(urls.place(UrlKey::of(url)).unwrap()), spelling);
        }
    }
}
