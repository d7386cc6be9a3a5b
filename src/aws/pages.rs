//! Lists that AWS hands out in pages.

use std::future::Future;

/// Entries in a page, the most that RDS gives (Amazon RDS API Reference, `MaxRecords`).
pub(super) const PAGE: i32 = 100;

/// Pages read before a list counts as endless: ten thousand entries, far above the quotas of RDS.
const MOST_PAGES: usize = 100;

/// One page, and the marker of the next if there is one.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<String>,
}

/// All entries, or an error: never a part of them.
pub(super) async fn all<T, F>(fetch: impl Fn(Option<String>) -> F) -> Result<Vec<T>, String>
where
    F: Future<Output = Result<Page<T>, String>>,
{
    let mut entries = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = fetch(marker.clone()).await?;
        entries.extend(page.entries);
        match page.next.filter(|next| !next.is_empty()) {
            None => return Ok(entries),
            Some(next) if marker.as_ref() == Some(&next) => {
                return Err("AWS handed out the same page twice; half a list is not used".into());
            }
            Some(next) => marker = Some(next),
        }
    }
    Err(format!("AWS handed out more than {MOST_PAGES} pages; half a list is not used"))
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn endless_lists_are_refused() {
        let next = |marker: Option<String>| {
            let number: usize = marker.map_or(0, |marker| marker.parse().unwrap());
            ready(Ok(Page { entries: vec![number], next: Some((number + 1).to_string()) }))
        };
        assert!(all(next).await.unwrap_err().contains("more than 100 pages"));
        let same = |_| ready(Ok(Page { entries: vec![1], next: Some("again".into()) }));
        assert!(all(same).await.unwrap_err().contains("twice"));
    }

    #[tokio::test]
    async fn an_error_on_a_later_page_leaves_nothing() {
        let second_fails = |marker: Option<String>| {
            ready(match marker {
                None => Ok(Page { entries: vec![1], next: Some("2".into()) }),
                Some(_) => Err("no".to_owned()),
            })
        };
        assert_eq!(all(second_fails).await, Err("no".to_owned()));
    }
}
