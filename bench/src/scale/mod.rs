//! What very many executions do to an engine: restarts with open ones, timers that are due, lists of closed ones.

mod calls;
pub(crate) mod closed;
pub(crate) mod deleting;
pub(crate) mod due;
pub(crate) mod restart;

use std::{future::Future, sync::Arc};

use anyhow::Result;
use temporalio_client::Client;
use tokio::task::JoinSet;

/// Callers that fill a file side by side.
const CALLERS: usize = 200;

/// Does `call` for the numbers below `count`, many at a time.
///
/// # Errors
/// The first error of a call.
async fn each<F, Fut>(client: &Client, count: usize, call: F) -> Result<()>
where
    F: Fn(Client, usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let call = Arc::new(call);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, call) = (client.clone(), call.clone());
        callers.spawn(async move {
            for number in (caller..count).step_by(CALLERS) {
                call(client.clone(), number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(())
}
