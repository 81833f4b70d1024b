//! Lists that come in pages.

use super::Error;

/// Pages of a list read before it counts as endless: a hundred thousand images come in a hundred.
pub(super) const PAGES_MAX: usize = 100;

/// A page, and what to ask the next one with.
pub(super) type Page<T> = (Vec<T>, Option<String>);

/// A page of the items that `read` makes of EC2's; `None` where it makes none of one.
pub(super) fn page<T, U>(
    items: Option<Vec<T>>,
    read: fn(T) -> Option<U>,
    next: Option<String>,
) -> Option<Page<U>> {
    let items = items.unwrap_or_default().into_iter().map(read).collect::<Option<_>>()?;
    Some((items, next))
}

/// All that `page` gives, asked with each page's token for the next. `endless` tells of a list that does
/// not end.
pub(super) async fn all<T, F>(
    mut page: impl FnMut(Option<String>) -> F,
    endless: impl FnOnce() -> Error,
) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<Page<T>, Error>>,
{
    let (mut items, mut token) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let (more, next) = page(token).await?;
        items.extend(more);
        token = next.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(items);
        }
    }
    Err(endless())
}
