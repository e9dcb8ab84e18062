using NUnit.Framework;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Metrics;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Unit.Tests.Admin.Metrics;

// Protects what the admin side itself reports: figures from the views, totals that never go down, no user's value in a label.
internal sealed class AdminMetricsTests
{
    private readonly AdminFixture _fixture = new();

    [Test]
    public void LoadForecastsTopologyAndPoolsAreReported()
    {
        using var control = new ControlMetrics(_fixture.Backend);
        using var plane = new DataPlaneMetrics(_fixture.Backend);
        using var collector = new MetricCollector(m => ReferenceEquals(m, control.Meter) || ReferenceEquals(m, plane.Meter));
        var text = MetricCollectorTests.Scrape(collector);
        Assert.Multiple(() =>
        {
            Assert.That(text, Does.Contain("shardproxy_node_load{node=\"node1\"} 100\n"));
            Assert.That(text, Does.Contain("shardproxy_range_load{range=\"2\"} 40\n"));
            Assert.That(text, Does.Contain("shardproxy_range_forecast{range=\"1\"} 10\n"));
            Assert.That(text, Does.Contain("shardproxy_range_forecast_upper{range=\"2\"} 60\n"));
            Assert.That(text, Does.Contain("shardproxy_node_forecast{node=\"node1\"} 60\n"));
            Assert.That(text, Does.Contain("shardproxy_node_forecast_upper{node=\"node1\"} 75\n"));
            Assert.That(text, Does.Contain("shardproxy_forecast_absolute_error{range=\"1\"} 2\n"));
            Assert.That(text, Does.Not.Contain("shardproxy_forecast_absolute_error{range=\"2\"}"), "nothing matured yet");
            Assert.That(text, Does.Contain("shardproxy_migrations{state=\"copying\"} 1\n"));
            Assert.That(text, Does.Contain("shardproxy_migrations{state=\"failed\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_migration_progress_ratio{migration=\"5\",range=\"3\"} 0.25\n"));
            Assert.That(text, Does.Contain("shardproxy_ranges{node=\"node1\"} 3\n"));
            Assert.That(text, Does.Contain("shardproxy_node_up{node=\"node2\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_routing_epoch 17\n"));
            Assert.That(text, Does.Contain("shardproxy_sessions{state=\"idle\"} 2\n"));
            Assert.That(text, Does.Contain("shardproxy_sessions{state=\"active\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_pool_connections{node=\"node1\",state=\"idle\"} 5\n"));
            Assert.That(text, Does.Contain("shardproxy_pool_waiting{node=\"node1\"} 3\n"));
            Assert.That(text, Does.Not.Contain("alice").And.Not.Contain("psql"));
        });
    }

    [Test]
    public void WhatAlertsAreMadeOfIsReported()
    {
        using var health = new HealthMetrics(_fixture.Backend);
        using var collector = new MetricCollector(m => ReferenceEquals(m, health.Meter));
        var text = MetricCollectorTests.Scrape(collector);
        Assert.Multiple(() =>
        {
            Assert.That(text, Does.Contain("shardproxy_slot_retained_bytes{node=\"node1\",slot=\"shardproxy_5\"} 3000000\n"));
            Assert.That(text, Does.Contain("shardproxy_slot_lag_bytes{node=\"node2\",slot=\"shardproxy_5\"} 7\n"));
            Assert.That(text, Does.Contain("shardproxy_slot_active{node=\"node2\",slot=\"shardproxy_5\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_replicas{node=\"node1\"} 2\n"));
            Assert.That(text, Does.Contain("shardproxy_replica_lag_seconds{node=\"node1\"} 1.5\n").And.Not.Contain("shardproxy_replica_lag_seconds{node=\"node2\"}"));
            Assert.That(text, Does.Contain("shardproxy_prepared_transaction_oldest_seconds{node=\"node1\"} 42.5\n"));
            Assert.That(text, Does.Contain("shardproxy_migration_state{migration=\"5\",range=\"3\",state=\"copying\"} 1\n"));
            Assert.That(text, Does.Contain("shardproxy_migration_idle_seconds{migration=\"5\",range=\"3\"} 12.5\n"));
            Assert.That(text, Does.Contain("shardproxy_proxies{state=\"silent\"} 1\n").And.Contain("shardproxy_proxies{state=\"barred\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_leading 1\n"));
        });
    }

    [Test]
    public void PoolsOfANodeAreAddedUpButTheirWaitsAreNot()
    {
        var pools = _fixture.PoolList;
        _fixture.PoolList =
        [
            pools[0] with { ReserveInUse = 2, LongestWaitMs = 250, IsPaused = true }, pools[1] with { ReserveInUse = 3, LongestWaitMs = 1_500, IsPaused = true },
            pools[0] with { Node = "node2", LongestWaitMs = 40 },
        ];
        _fixture.SessionList = [.. _fixture.SessionList.Select((s, i) => s with { IsEncrypted = i == 1 })];
        using var plane = new DataPlaneMetrics(_fixture.Backend);
        using var collector = new MetricCollector(m => ReferenceEquals(m, plane.Meter));
        var text = MetricCollectorTests.Scrape(collector);
        Assert.Multiple(() =>
        {
            Assert.That(text, Does.Contain("shardproxy_pool_reserve_in_use{node=\"node1\"} 5\n").And.Contain("shardproxy_pool_reserve_in_use{node=\"node2\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_pool_longest_wait_seconds{node=\"node1\"} 1.5\n").And.Contain("shardproxy_pool_longest_wait_seconds{node=\"node2\"} 0.04\n"));
            Assert.That(text, Does.Contain("shardproxy_pools_paused{node=\"node1\"} 2\n").And.Contain("shardproxy_pools_paused{node=\"node2\"} 0\n"));
            Assert.That(text, Does.Contain("shardproxy_sessions_encrypted 1\n"));
        });
    }

    [Test]
    public void MigrationTotalsCountOnlyWhatIsNewAndNeverGoDown()
    {
        using var control = new ControlMetrics(_fixture.Backend);
        using var collector = new MetricCollector(m => ReferenceEquals(m, control.Meter));
        Assert.That(Figures(), Is.EqualTo((0, 0, 0)), "work of an earlier process");

        var running = _fixture.MigrationList[0];
        _fixture.MigrationList = [running with { RowsDone = 700 }];
        Assert.That(Figures(), Is.EqualTo((450, 0, 0)));

        // A migration that starts anew counts down; what was copied was copied.
        _fixture.MigrationList = [running with { RowsDone = 100 }];
        Assert.That(Figures(), Is.EqualTo((450, 0, 0)));

        _fixture.MigrationList = [running with { State = MigrationState.Done, RowsDone = 1_000, RowsVerified = 1_000, StallMs = 31 }];
        Assert.That(Figures(), Is.EqualTo((1_350, 1_000, 1)));
        Assert.That(Figures(), Is.EqualTo((1_350, 1_000, 1)), "the same migration is not counted twice");

        _fixture.MigrationList = [];
        Assert.That(Figures(), Is.EqualTo((1_350, 1_000, 1)));

        (double Copied, double Verified, double Stalls) Figures()
        {
            var text = MetricCollectorTests.Scrape(collector);
            return (
                MetricCollectorTests.Samples(text, MetricCatalog.MigrationRowsCopied.Name)[""],
                MetricCollectorTests.Samples(text, MetricCatalog.MigrationRowsVerified.Name)[""],
                MetricCollectorTests.Samples(text, MetricCatalog.MigrationStall.CountInstrument)[""]);
        }
    }

    [Test]
    public void TheProcessReportsItself()
    {
        using var process = new ProcessMetrics();
        using var collector = new MetricCollector(m => ReferenceEquals(m, process.Meter));
        var text = MetricCollectorTests.Scrape(collector);
        foreach (var metric in MetricCatalog.All.Where(m => m.Meter == MetricMeters.Process))
        {
            Assert.That(text, Does.Contain($"# TYPE {metric.Name} "));
        }

        Assert.That(MetricCollectorTests.Samples(text, MetricCatalog.ProcessMemory.Name)[""], Is.GreaterThan(1e6));
    }
}
