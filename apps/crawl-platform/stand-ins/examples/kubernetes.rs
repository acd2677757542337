//! Runs the stand-in for a Kubernetes cluster until it is interrupted, with its configuration for clients in a file:
//!
//! ```sh
//! cargo run -p segno-crawl-stand-ins --example kubernetes -- /tmp/kubeconfig [--port 6443] [--processes] [--alone]
//! kubectl --kubeconfig /tmp/kubeconfig get pods --watch
//! ```
//!
//! With `--processes` the containers' commands run as processes on this machine; else pods only look as if they ran, for
//! a second. `--alone`: without controllers and nodes.

use std::{error::Error, io::Write as _, time::Duration};

use segno_crawl_stand_ins::kubernetes::{Course, End, Kubernetes, Options, Plan};

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = Options::default();
    let (mut file, mut processes) = (None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => options.port = arguments.next().ok_or("--port takes a number")?.parse()?,
            "--processes" => processes = true,
            "--alone" => options.alone = true,
            _ => file = Some(argument),
        }
    }
    let file = file.ok_or("it takes the path of the file for the configuration")?;
    let cluster = Kubernetes::start(&options)?;
    cluster.world().plan(move |_| Plan {
        course: if processes {
            Course::Process
        } else {
            Course::Ends(Duration::from_secs(1), End::Exits(0))
        },
        ..Plan::default()
    });
    std::fs::write(&file, cluster.kubeconfig("default"))?;
    writeln!(std::io::stdout(), "{} for KUBECONFIG={file}", cluster.url())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(tokio::signal::ctrl_c())?)
}
