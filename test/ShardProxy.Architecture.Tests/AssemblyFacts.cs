using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace ShardProxy.Architecture.Tests;

/// <summary>What a built assembly refers to, read from its metadata without loading it.</summary>
internal sealed class AssemblyFacts
{
    private AssemblyFacts(string name, MetadataReader reader)
    {
        Name = name;
        References = [.. reader.AssemblyReferences.Select(r => reader.GetString(reader.GetAssemblyReference(r).Name))];
        Types = [.. reader.TypeReferences.Select(r => FullName(reader, r))];
        Members =
        [
            .. reader.MemberReferences.Select(reader.GetMemberReference)
                .Where(m => m.Parent.Kind == HandleKind.TypeReference)
                .Select(m => $"{FullName(reader, (TypeReferenceHandle)m.Parent)}.{reader.GetString(m.Name)}"),
        ];
        PublicTypes =
        [
            .. reader.TypeDefinitions.Select(reader.GetTypeDefinition)
                .Where(t => (t.Attributes & System.Reflection.TypeAttributes.VisibilityMask) == System.Reflection.TypeAttributes.Public)
                .Select(t => $"{reader.GetString(t.Namespace)}.{reader.GetString(t.Name)}"),
        ];
    }

    public string Name { get; }

    /// <summary>Simple names of referenced assemblies.</summary>
    public IReadOnlyList<string> References { get; }

    /// <summary>Full names of types of other assemblies that are used.</summary>
    public IReadOnlyList<string> Types { get; }

    /// <summary>Members of such types, as <c>Namespace.Type.member</c>; property getters as <c>get_X</c>.</summary>
    public IReadOnlyList<string> Members { get; }

    /// <summary>Full names of its own public types.</summary>
    public IReadOnlyList<string> PublicTypes { get; }

    public static AssemblyFacts Of(string assembly)
    {
        var file = assembly == "ShardProxy" ? "shardproxy.dll" : assembly + ".dll";
        using var stream = File.OpenRead(Path.Combine(AppContext.BaseDirectory, file));
        using var image = new PEReader(stream);
        return new AssemblyFacts(assembly, image.GetMetadataReader());
    }

    private static string FullName(MetadataReader reader, TypeReferenceHandle handle)
    {
        var type = reader.GetTypeReference(handle);
        var name = reader.GetString(type.Name);
        return type.ResolutionScope.Kind == HandleKind.TypeReference
            ? $"{FullName(reader, (TypeReferenceHandle)type.ResolutionScope)}.{name}"
            : $"{reader.GetString(type.Namespace)}.{name}";
    }
}
