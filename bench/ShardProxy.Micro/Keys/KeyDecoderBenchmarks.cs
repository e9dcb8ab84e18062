using BenchmarkDotNet.Attributes;
using ShardProxy.Micro.Checking;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Topology;

namespace ShardProxy.Micro.Keys;

/// <summary>From a value as it stands on the wire to its hash.</summary>
public class KeyDecoderBenchmarks
{
    private const uint Int4Oid = 23;

    private readonly byte[] _integerText = "1234567"u8.ToArray();
    private readonly byte[] _integerBinary = [0, 18, 214, 135];
    private readonly byte[] _uuidText = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"u8.ToArray();
    private readonly byte[] _text = "customer-00012345"u8.ToArray();

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long IntegerText() => Checked(KeyDecoder.TryText(KeyType.Int4, -1, _integerText, isAssignment: false, KeyHash.FirstSeed, out var hash), hash);

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long IntegerBinary() => Checked(KeyDecoder.TryBinary(KeyType.Int4, -1, Int4Oid, _integerBinary, isAssignment: false, KeyHash.FirstSeed, out var hash), hash);

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long UuidText() => Checked(KeyDecoder.TryText(KeyType.Uuid, -1, _uuidText, isAssignment: false, KeyHash.FirstSeed, out var hash), hash);

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long VarcharText() => Checked(KeyDecoder.TryText(KeyType.Varchar, 44, _text, isAssignment: true, KeyHash.FirstSeed, out var hash), hash);

    private static long Checked(KeyHashOutcome outcome, long hash) =>
        outcome == KeyHashOutcome.Ok ? hash : throw new InvalidOperationException($"the value gave {outcome}");
}
