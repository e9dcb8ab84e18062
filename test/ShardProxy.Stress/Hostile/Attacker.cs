using System.Net;
using System.Net.Sockets;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Stress.Hostile;

/// <summary>Opens one connection after another, misbehaves on each, and leaves in one of the ways that clients leave.</summary>
internal sealed class Attacker(HostileOptions options, IPEndPoint proxy, int number, Findings findings)
{
    private static readonly TimeSpan ReplyTime = TimeSpan.FromMilliseconds(300);

    private readonly Random _random = new(HashCode.Combine(options.Seed, number));
    private readonly List<ScriptedClient> _abandoned = [];

    /// <summary>Connections made so far.</summary>
    public int Connections { get; private set; }

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Connections++;
            try
            {
                await AttackAsync(_random.Next(3) == 0);
            }
            catch (Exception e) when (e is IOException or SocketException or InvalidDataException or EndOfStreamException or TimeoutException or InvalidOperationException or ObjectDisposedException)
            {
                // Thrown out, answered with a byte that is no message, or left waiting: all its own doing.
            }
        }

        _abandoned.ForEach(c => c.Dispose());
    }

    private async Task AttackAsync(bool beforeLogin)
    {
        var client = beforeLogin
            ? await ScriptedClient.ConnectAsync(proxy)
            : await ScriptedClient.LoginAsync(proxy.Port, TestCluster.User, _random.Next(8) == 0 ? "shardproxy" : TestCluster.Database, TestCluster.Password);
        client.Deadline = ReplyTime;
        var isKept = false;
        try
        {
            var traffic = Mutator.Traffic(_random, beforeLogin ? Corpus.BeforeLogin : Corpus.AfterLogin, !beforeLogin);
            for (var sent = 0; sent < traffic.Length;)
            {
                var chunk = _random.Next(3) == 0 ? _random.Next(1, 8) : traffic.Length;
                chunk = Math.Min(chunk, traffic.Length - sent);
                await client.SendAsync(traffic.AsMemory(sent, chunk));
                sent += chunk;
            }

            switch (_random.Next(6))
            {
                case 0:
                    client.Reset();
                    return;
                case 1 when _abandoned.Count < 20:
                    // Neither reads nor closes: the proxy has to live with it.
                    _abandoned.Add(client);
                    isKept = true;
                    return;
                case 2 when !beforeLogin:
                    await client.CancelAsync(proxy);
                    break;
                case 3:
                    client.CloseWriting();
                    break;
            }

            var replies = await client.ReadUntilAsync('\0');
            if (beforeLogin && replies.Messages.Any(m => m.Type == 'R' && m.Authentication().Code == 0))
            {
                findings.Add($"attacker {number}, connection {Connections}: let in without a password");
            }
        }
        finally
        {
            if (!isKept)
            {
                client.Dispose();
            }
        }
    }
}
