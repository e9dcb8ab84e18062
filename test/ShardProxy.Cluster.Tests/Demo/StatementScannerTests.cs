using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using ShardProxy.Demo.Gate;

namespace ShardProxy.Cluster.Tests.Demo;

// Protects: the caps of the demo count statements. A message cut by the network must count once, and the proxy's own control work and
// replication must not be taken for clients' work.
public sealed class StatementScannerTests
{
    [Test]
    public void Statements_count_once_however_the_stream_is_cut([Values(1, 2, 3, 5, 7, 64, 1000)] int piece)
    {
        byte[] stream =
        [
            .. Packet(80_877_103), .. Startup("shardproxy/1"), .. Message('p', "secret"), .. Message('Q', "SELECT 1"), .. Message('P', "QE"), .. Message('B', "EEEE"),
            .. Message('E', "x"), .. Message('E', "y"), .. Message('S', ""), .. Message('d', "QQQQQ"), .. Message('X', ""),
        ];

        Assert.That(Count(stream, piece), Is.EqualTo(3));
    }

    [TestCase("shardproxy/1/control", null, 0)]
    [TestCase("anything", "database", 0)]
    [TestCase("shardproxy/1", null, 1)]
    [TestCase("psql", null, 1)]
    public void Only_clients_work_counts(string application, string? replication, int expected) =>
        Assert.That(Count([.. Startup(application, replication), .. Message('Q', "SELECT 1")], 4), Is.EqualTo(expected));

    [Test]
    public void What_is_no_startup_packet_is_refused() =>
        Assert.That(() => new StatementScanner().Scan("GET / HTTP/1.1\r\n"u8), Throws.TypeOf<InvalidDataException>());

    private static int Count(byte[] stream, int piece)
    {
        var scanner = new StatementScanner();
        var count = 0;
        for (var i = 0; i < stream.Length; i += piece)
        {
            count += scanner.Scan(stream.AsSpan(i, Math.Min(piece, stream.Length - i)));
        }

        return count;
    }

    private static byte[] Packet(int code, string rest = "")
    {
        var bytes = Encoding.UTF8.GetBytes(rest);
        var packet = new byte[8 + bytes.Length];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), code);
        bytes.CopyTo(packet, 8);
        return packet;
    }

    private static byte[] Startup(string application, string? replication = null) =>
        Packet(196_608, $"user\0app\0application_name\0{application}\0{(replication is null ? "" : $"replication\0{replication}\0")}\0");

    private static byte[] Message(char type, string payload)
    {
        var bytes = Encoding.UTF8.GetBytes(payload);
        var message = new byte[5 + bytes.Length];
        message[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + bytes.Length);
        bytes.CopyTo(message, 5);
        return message;
    }
}
