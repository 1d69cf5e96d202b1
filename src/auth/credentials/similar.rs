//! The name that somebody meant who wrote another.

/// `; did you mean "prod"?` for the name that is most like `name`, or nothing if none is like it.
pub(super) fn meant<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    // Short names are all like each other.
    let allowed = (name.chars().count() / 3).min(2);
    let (name, exact) = (name.to_lowercase(), name);
    let near = names
        .filter(|other| *other != exact)
        .map(|other| (distance(&name, &other.to_lowercase()), other))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips);
    near.map(|(_, other)| format!("; did you mean {other:?}?")).unwrap_or_default()
}

/// How many letters must be put in, left out, changed, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = rows[i][j] + usize::from(x != y);
            let mut least = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_recognised_and_another_name_is_not() {
        let names = ["default", "prod", "production", "ci"];
        for (written, found) in [
            ("prdo", "prod"),
            ("Prod", "prod"),
            ("CI", "ci"),
            ("prods", "prod"),
            ("defualt", "default"),
            ("produktion", "production"),
            ("staging", ""),
            ("c", ""),
            ("", ""),
        ] {
            let wanted = if found.is_empty() { String::new() } else { format!("; did you mean {found:?}?") };
            assert_eq!(meant(written, names.into_iter()), wanted, "{written}");
        }
    }
}
