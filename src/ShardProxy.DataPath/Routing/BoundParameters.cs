using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using ShardProxy.Wire.Framing;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// The parameters of one Bind message, as offsets into a copy of its payload that lives as long as the portal may run. Reused.
/// </summary>
internal sealed class BoundParameters
{
    private byte[] _payload = [];
    private (int Offset, int Length)[] _values = new (int, int)[8];
    private short[] _formats = new short[8];
    private int _formatCount;

    /// <summary>Number of parameters.</summary>
    public int Count { get; private set; }

    /// <summary>Declared types of the statement's Parse message; zero is unspecified.</summary>
    public uint[] TypeOids { get; private set; } = [];

    /// <summary>Result format codes: none (all text), one for all, or one a column.</summary>
    public short[] ResultFormats { get; private set; } = [];

    /// <summary>The whole payload of the Bind message.</summary>
    public ReadOnlySpan<byte> Payload => _payload.AsSpan(0, PayloadBytes);

    public int PayloadBytes { get; private set; }

    /// <summary>Offset of the parameter format codes: what follows the two names.</summary>
    public int BodyOffset { get; private set; }

    /// <summary>Offset of the result format codes.</summary>
    public int ResultFormatsOffset { get; private set; }

    /// <summary>Whether the client wants a result column in binary.</summary>
    public bool WantsBinary(int column) => ResultFormats.Length switch
    {
        0 => false,
        1 => ResultFormats[0] == 1,
        var count => column < count && ResultFormats[column] == 1,
    };

    /// <summary>Reads a Bind payload; copies it.</summary>
    public void Read(ReadOnlySpan<byte> payload, uint[] typeOids)
    {
        if (_payload.Length < payload.Length)
        {
            _payload = new byte[Math.Max(payload.Length, 512)];
        }

        payload.CopyTo(_payload);
        PayloadBytes = payload.Length;
        TypeOids = typeOids;
        var reader = new PayloadReader(payload);
        reader.ReadCString();
        reader.ReadCString();
        BodyOffset = reader.Position;
        _formatCount = reader.ReadInt16();
        Grow(ref _formats, _formatCount);
        for (var i = 0; i < _formatCount; i++)
        {
            _formats[i] = reader.ReadInt16();
        }

        Count = reader.ReadInt16() & 0xFFFF;
        if (_formatCount < 0 || (_formatCount > 1 && _formatCount != Count))
        {
            throw new ProtocolException("08P01", "bind message has wrong number of parameter formats");
        }

        Grow(ref _values, Count);
        for (var i = 0; i < Count; i++)
        {
            var length = reader.ReadInt32();
            _values[i] = (reader.Position, length);
            if (length > 0)
            {
                reader.ReadBytes(length);
            }
        }

        ResultFormatsOffset = reader.Position;
        var resultFormats = reader.ReadInt16();
        if (resultFormats != ResultFormats.Length)
        {
            ResultFormats = resultFormats <= 0 ? [] : new short[resultFormats];
        }

        for (var i = 0; i < resultFormats; i++)
        {
            ResultFormats[i] = reader.ReadInt16();
        }

        reader.RequireEnd();
    }

    /// <summary>Adds text parameters behind the statement's own.</summary>
    /// <param name="values">Their values; UTF-8.</param>
    /// <param name="own">How many the statement itself has: any number but that the server refuses, and it stays so.</param>
    /// <param name="typeOids">Types of all, those included.</param>
    public void Append(IReadOnlyList<string> values, int own, uint[] typeOids)
    {
        if (Count != own)
        {
            return;
        }

        var old = Payload.ToArray();
        var body = new ArrayBufferWriter<byte>(old.Length + (values.Count * 16));
        body.Write(old.AsSpan(0, BodyOffset));
        var formats = _formatCount == 0 ? 0 : Count + values.Count;
        Int16(body, formats);
        for (var i = 0; i < formats; i++)
        {
            Int16(body, i < Count && IsBinary(i) ? 1 : 0);
        }

        Int16(body, Count + values.Count);
        for (var i = 0; i < Count; i++)
        {
            Int32(body, _values[i].Length);
            body.Write(IsNull(i) ? default : Value(i));
        }

        foreach (var value in values)
        {
            Int32(body, Encoding.UTF8.GetByteCount(value));
            Encoding.UTF8.GetBytes(value, body);
        }

        body.Write(old.AsSpan(ResultFormatsOffset));
        Read(body.WrittenSpan, typeOids);
    }

    private static void Int16(ArrayBufferWriter<byte> output, int value)
    {
        BinaryPrimitives.WriteInt16BigEndian(output.GetSpan(2), (short)value);
        output.Advance(2);
    }

    private static void Int32(ArrayBufferWriter<byte> output, int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(output.GetSpan(4), value);
        output.Advance(4);
    }

    /// <summary>Where a value that is not NULL stands in <see cref="Payload"/>.</summary>
    public (int Offset, int Length) Place(int index) => _values[index];

    public bool IsNull(int index) => _values[index].Length < 0;

    public ReadOnlySpan<byte> Value(int index) => _payload.AsSpan(_values[index].Offset, _values[index].Length);

    public bool IsBinary(int index) => _formatCount switch
    {
        0 => false,
        1 => _formats[0] == 1,
        _ => _formats[index] == 1,
    };

    private static void Grow<T>(ref T[] array, int count)
    {
        if (array.Length < count)
        {
            array = new T[Math.Max(count, array.Length * 2)];
        }
    }
}
