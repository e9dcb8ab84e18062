using System.Text;
using BenchmarkDotNet.Attributes;
using ShardProxy.Micro.Checking;
using ShardProxy.Model.Keys;

namespace ShardProxy.Micro.Keys;

/// <summary>The hash itself, by kind of key.</summary>
public class KeyHashBenchmarks
{
    private readonly byte[] _uuid = new byte[16];
    private byte[] _text = [];
    private long _number;

    /// <summary>Length of the text key in bytes.</summary>
    [Params(8, 36, 200)]
    public int TextBytes { get; set; }

    [GlobalSetup]
    public void SetUp() => _text = Encoding.ASCII.GetBytes(new string('k', TextBytes));

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long Int64() => KeyHash.Int64(_number++, KeyHash.FirstSeed);

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long Text() => KeyHash.Text(_text, KeyHash.FirstSeed);

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long Uuid() => KeyHash.Uuid(_uuid, KeyHash.FirstSeed);

    [Benchmark]
    [ExpectedAllocatedBytes(0)]
    public long Composite() => KeyHash.Int64(_number++, KeyHash.Text(_text, KeyHash.FirstSeed));
}
