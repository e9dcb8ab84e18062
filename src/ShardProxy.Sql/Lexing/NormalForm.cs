using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace ShardProxy.Sql.Lexing;

/// <summary>
/// Reusable buffer for a statement's normal form: its tokens joined by single spaces, unquoted words in lower case, each
/// literal replaced by one control byte for its kind. Scanning the normal form gives the same tokens again, so equal normal
/// forms mean equal statements but for the literals. Grows up to a bound; past it the statement is not cacheable.
/// </summary>
internal sealed class NormalForm
{
    /// <summary>Stands before a literal that is kept as written.</summary>
    public const byte VerbatimMark = 8;

    private byte[] _buffer = new byte[1024];
    private int _length;
    private int _limit;

    /// <summary>False when the form became too long or has a token that PostgreSQL 15 does not know.</summary>
    public bool IsCacheable { get; private set; }

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    public void Begin(int limit)
    {
        _length = 0;
        _limit = limit;
        IsCacheable = true;
    }

    /// <summary>An unknown control character could be taken for a literal's mark: such a statement is never looked up.</summary>
    public void MarkNotCacheable() => IsCacheable = false;

    /// <summary>Appends a token in lower case (ASCII letters only, as PostgreSQL folds names).</summary>
    public void AppendFolded(ReadOnlySpan<byte> token)
    {
        if (!Reserve(token.Length + 1))
        {
            return;
        }

        var target = _buffer.AsSpan(_length);
        for (var i = 0; i < token.Length; i++)
        {
            var c = token[i];
            target[i] = (uint)(c - 'A') <= 'Z' - 'A' ? (byte)(c | 0x20) : c;
        }

        target[token.Length] = (byte)' ';
        _length += token.Length + 1;
    }

    /// <summary>Appends a token as it is.</summary>
    public void AppendRaw(ReadOnlySpan<byte> token)
    {
        if (!Reserve(token.Length + 1))
        {
            return;
        }

        token.CopyTo(_buffer.AsSpan(_length));
        _length += token.Length;
        _buffer[_length++] = (byte)' ';
    }

    /// <summary>Appends one control byte.</summary>
    public void AppendMark(byte mark)
    {
        if (Reserve(2))
        {
            _buffer[_length] = mark;
            _buffer[_length + 1] = (byte)' ';
            _length += 2;
        }
    }

    /// <summary>A well-mixed 64-bit hash, the same in every process.</summary>
    public static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        const ulong Multiplier = 0x9E3779B97F4A7C15;
        var hash = (ulong)bytes.Length * Multiplier;
        while (bytes.Length >= 8)
        {
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[8..];
        }

        ulong tail = 0;
        for (var i = 0; i < bytes.Length; i++)
        {
            tail |= (ulong)bytes[i] << (8 * i);
        }

        return Mix(Mix(hash ^ tail));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mix(ulong value)
    {
        value *= 0xBF58476D1CE4E5B9;
        value ^= value >> 29;
        value *= 0x94D049BB133111EB;
        return value ^ (value >> 32);
    }

    private bool Reserve(int count)
    {
        if (!IsCacheable)
        {
            return false;
        }

        var needed = _length + count;
        if (needed <= _buffer.Length)
        {
            return true;
        }

        if (needed > _limit)
        {
            IsCacheable = false;
            return false;
        }

        Array.Resize(ref _buffer, Math.Min(_limit, Math.Max(needed, _buffer.Length * 2)));
        return true;
    }
}
