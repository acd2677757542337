//! `temporal worker deployment …` on both engines.

use serde_json::Value;

use crate::{
    bed::{Bed, both_engines},
    cli_operations::{cli, run},
    deployments::{DEPLOYMENT, polled},
};

fn build_ids(described: &Value) -> Vec<String> {
    let versions = described["versionSummaries"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut ids: Vec<String> = versions
        .iter()
        .filter_map(|version| {
            Some(
                version["BuildID"]
                    .as_str()
                    .or(version["buildId"].as_str())?
                    .to_owned(),
            )
        })
        .collect();
    ids.sort();
    ids
}

both_engines! {
    async fn versions_are_set_and_shown(bed: &Bed) {
        let address = bed.address().await;
        let address = address.as_str();
        polled(bed, &["1", "2"]).await;
        let ours = |command: &'static str| vec!["worker", "deployment", command];
        let named = |command: &'static str| [ours(command), vec!["--deployment-name", DEPLOYMENT]].concat();
        bed.eventually("the deployment is listed", || async {
            let list = run(bed, address, &ours("list")).await;
            let names: Vec<_> = list.as_array()?.iter().filter_map(|line| line["name"].as_str()).collect();
            (names == [DEPLOYMENT]).then_some(())
        })
        .await;
        let describe = [ours("describe"), vec!["--name", DEPLOYMENT]].concat();
        let described = run(bed, address, &describe).await;
        assert_eq!(described["name"], DEPLOYMENT);
        assert_eq!(build_ids(&described), ["1", "2"], "{described}");
        let set = [named("set-current-version"), vec!["--build-id", "1", "--yes"]].concat();
        run(bed, address, &set).await;
        let set = [named("set-ramping-version"), vec!["--build-id", "2", "--percentage", "25", "--yes"]].concat();
        run(bed, address, &set).await;
        let described = run(bed, address, &describe).await;
        let routing = &described["routingConfig"];
        assert_eq!(routing["currentVersionBuildID"], "1", "{described}");
        assert_eq!(routing["rampingVersionBuildID"], "2", "{described}");
        assert_eq!(routing["rampingVersionPercentage"], 25, "{described}");
        let noted = [named("update-version-metadata"), vec!["--build-id", "1", "--metadata", "commit=\"abc\""]].concat();
        run(bed, address, &noted).await;
        let version = [named("describe-version"), vec!["--build-id", "1"]].concat();
        let described = run(bed, address, &version).await;
        assert!(described["metadata"].to_string().contains("commit"), "{described}");
        let delete = [named("delete-version"), vec!["--build-id", "1"]].concat();
        let complaint = cli(bed, address, &delete).await.expect_err("it is current");
        assert!(complaint.contains("is current or ramping"), "{complaint}");
    }
}
