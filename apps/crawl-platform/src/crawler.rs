//! A small crawler: follows the links of one site, and makes a record of each page that has properties.
//!
//! A record is `{"url": …, "title": …, "properties": {…}}`; a property is an element with the attribute `itemprop`, as microdata
//! has it: its attribute `content`, else its text. Of several processes of a run each goes through all pages, and
//! keeps those whose address falls to it.

mod page;

use std::{
    collections::{HashSet, VecDeque},
    io,
    path::PathBuf,
    time::Duration,
};

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::page::Page;
use crate::output::{FILES, METADATA, Metadata, RECORDS, STATS, Stats, write_whole};

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a page that are read.
const LARGEST: usize = 4 << 20;

/// What is crawled, and where the records go.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first page; links to other hosts and ports are not followed.
    pub start: Url,
    /// The folder of the process: see [`crate::output`].
    pub output: PathBuf,
    /// This process's number, from 0.
    pub process: u32,
    /// How many processes there are.
    pub processes: u32,
    /// Pages that are fetched at most.
    pub max_pages: u64,
    /// Between two pages.
    pub pause: Duration,
}

/// The site was not crawled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrawlError {
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// A record cannot be written as JSON.
    #[error("a record cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// The HTTP client cannot be made, or the first page cannot be fetched.
    #[error("{url} cannot be fetched: {reason}")]
    Fetch {
        /// The page.
        url: Url,
        /// Why.
        reason: String,
    },
    /// It was told to stop.
    #[error("told to stop")]
    Stopped,
}

#[derive(Serialize)]
struct Record<'a> {
    url: &'a str,
    #[serde(flatten)]
    page: &'a Page,
}

/// Crawls until there is no page left, or it is told to stop; what was found until then is kept, and not counted as all.
///
/// # Errors
///
/// [`CrawlError`].
pub async fn crawl(options: Options, stop: CancellationToken) -> Result<Stats, CrawlError> {
    let Options { start, output, .. } = &options;
    let files = output.join(FILES);
    tokio::fs::create_dir_all(&files).await?;
    let mut records = tokio::fs::File::create(output.join(RECORDS)).await?;
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .user_agent("crawl-platform")
        .build()
        .map_err(|error| CrawlError::Fetch {
            url: start.clone(),
            reason: error.to_string(),
        })?;
    let mut stats = Stats::default();
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(url) = queue.pop_front() {
        if stop.is_cancelled() {
            return Err(CrawlError::Stopped);
        }
        if stats.pages + stats.errors >= options.max_pages {
            break;
        }
        let html = match fetch(&http, &url).await {
            Ok(html) => html,
            Err(reason) if url == *start => return Err(CrawlError::Fetch { url, reason }),
            Err(reason) => {
                tracing::warn!(%url, %reason, "a page cannot be fetched");
                stats.errors += 1;
                continue;
            }
        };
        stats.pages += 1;
        let (page, links) = page::read(&html, &url);
        for link in links {
            if link.origin() == start.origin() && seen.insert(link.clone()) {
                queue.push_back(link);
            }
        }
        if is_mine(&url, &options) {
            if !page.properties.is_empty() {
                let record = Record {
                    url: url.as_str(),
                    page: &page,
                };
                let mut line = serde_json::to_vec(&record)?;
                line.push(b'\n');
                records.write_all(&line).await?;
                records.flush().await?;
                stats.records += 1;
            }
            let name = format!(
                "{}.html",
                crate::ids::fingerprint(url.as_str()).get(..16).unwrap_or("page")
            );
            tokio::fs::write(files.join(name), &html).await?;
        }
        write_whole(&output.join(STATS), &serde_json::to_vec(&stats)?).await?;
        tracing::info!(%url, pages = stats.pages, records = stats.records, "a page was read");
        tokio::select! {
            () = tokio::time::sleep(options.pause) => {}
            () = stop.cancelled() => return Err(CrawlError::Stopped),
        }
    }
    records.sync_all().await?;
    let metadata = Metadata {
        records: stats.records,
    };
    write_whole(&output.join(METADATA), &serde_json::to_vec(&metadata)?).await?;
    Ok(stats)
}

/// Whether a page falls to this process.
fn is_mine(url: &Url, options: &Options) -> bool {
    let sum: u64 = url.as_str().bytes().map(u64::from).sum();
    sum % u64::from(options.processes.max(1)) == u64::from(options.process)
}

async fn fetch(http: &reqwest::Client, url: &Url) -> Result<String, String> {
    let mut response = http
        .get(url.clone())
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err(format!("it is larger than {LARGEST} bytes"));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
