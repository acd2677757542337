//! Lists that the API gives page by page.

use reqwest::Method;
use serde_json::Value;

use super::api::Api;

/// The largest page that every list gives.
const PAGE: usize = 500;

/// Up to `limit` of what is listed at a path under this name, page after page. `size` is the parameter that says how many
/// a page has.
///
/// # Errors
/// As [`Api::call`].
pub(super) async fn fetch(
    api: &Api,
    path: &[&str],
    name: &str,
    size: &str,
    query: &[(&str, String)],
    limit: usize,
) -> miette::Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut token = None;
    while all.len() < limit {
        let mut query = query.to_vec();
        query.push((size, (limit - all.len()).min(PAGE).to_string()));
        query.extend(token.map(|token| ("page_token", token)));
        let mut page = api.call(Method::GET, path, &query, None).await?;
        if let Some(found) = page[name].as_array_mut() {
            all.append(found);
        }
        match page["next_page_token"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    all.truncate(limit);
    Ok(all)
}
