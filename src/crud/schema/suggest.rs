//! "Did you mean …?" for names that a client misspelt.

/// The one of `known` that `name` was most likely meant to be, or none when nothing is near.
pub(crate) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names are not misspelt names, and the distance is quadratic.
    if name.len() > 64 {
        return None;
    }
    let allowed = 1 + name.chars().count() / 4;
    known
        .filter(|other| other.len() <= 64)
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    let (a, b) = (lower(a), lower(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_near_names_only() {
        let known = ["name", "email", "created_at"];
        let suggest = |name| closest(name, known.into_iter());
        assert_eq!(suggest("nmae"), Some("name"));
        assert_eq!(suggest("Email"), Some("email"));
        assert_eq!(suggest("createdAt"), Some("created_at"));
        assert_eq!(suggest("zip"), None);
        assert_eq!(suggest(&"n".repeat(100)), None);
    }
}
