using System.Net;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cli;
using ShardProxy.Composition;
using ShardProxy.Configuration;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Cli;

// Protects what scripts read from `dev`: the lines to the character, only when clients can connect; and that all of it is gone
// within two seconds of the signal.
[TestFixture]
internal sealed class DevSessionTests
{
    [Test]
    [CancelAfter(60_000)]
    public async Task Dev_writes_the_ready_lines_and_takes_everything_down_again(CancellationToken cancellationToken)
    {
        await TestPrerequisites.EnsureAsync(cancellationToken);
        using var shutdown = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var host = new RecordingHost();
        ProxyOptions? composed = null;
        var output = new StringWriter();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var session = new DevSession(
            options =>
            {
                composed = options;
                return host;
            },
            new NotifyingWriter(output, ready),
            line => TestContext.Progress.WriteLine(line));
        var run = session.RunAsync(new DevOptions { Nodes = 2, User = "me", Password = new Secret("pw"), Database = "my db" }, shutdown.Token);
        await Task.WhenAny(ready.Task, run);
        if (run.IsCompleted)
        {
            await run;
        }

        var ports = composed!.Nodes.Select(n => n.Address.Port).ToList();
        Assert.That(output.ToString(), Is.EqualTo(
            $"""
            proxy   postgresql://me@127.0.0.1:4711/my%20db
            console postgresql://me@127.0.0.1:4711/shardproxy
            http    http://127.0.0.1:4712/
            node1   postgresql://me@127.0.0.1:{ports[0]}/my%20db
            node2   postgresql://me@127.0.0.1:{ports[1]}/my%20db
            ready

            """));
        Assert.That(composed.HomeNode.Name, Is.EqualTo("node1"));
        await using (var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={ports[1]};Username=me;Password=pw;Database=my db;Pooling=false"))
        {
            await connection.OpenAsync(cancellationToken);
        }

        var began = TimeProvider.System.GetTimestamp();
        await shutdown.CancelAsync();
        await run;
        // A promise of DESIGN section 10.
        Assert.That(TimeProvider.System.GetElapsedTime(began), Is.LessThan(TimeSpan.FromSeconds(2)));
        Assert.That(host.Events, Is.EqualTo(new[] { "start", "stop" }));
        foreach (var port in ports)
        {
            using var client = new System.Net.Sockets.TcpClient();
            Assert.That(async () => await client.ConnectAsync(IPAddress.Loopback, port, cancellationToken), Throws.InstanceOf<System.Net.Sockets.SocketException>());
        }
    }

    private sealed class RecordingHost : IProxyHost
    {
        public List<string> Events { get; } = [];

        public IPEndPoint Listen { get; } = new(IPAddress.Loopback, 4711);

        public IPEndPoint Admin { get; } = new(IPAddress.Loopback, 4712);

        public Task StartAsync(CancellationToken cancellationToken)
        {
            Events.Add("start");
            return Task.CompletedTask;
        }

        public Task StopAsync()
        {
            Events.Add("stop");
            return Task.CompletedTask;
        }
    }

    /// <summary>Tells when the ready lines have been flushed.</summary>
    private sealed class NotifyingWriter(StringWriter inner, TaskCompletionSource flushed) : TextWriter
    {
        public override System.Text.Encoding Encoding => inner.Encoding;

        public override void Write(char value) => inner.Write(value);

        public override void Flush() => flushed.TrySetResult();
    }
}
